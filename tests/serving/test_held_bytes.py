"""Bytes of bodies that are under way: each worker has its limit, and all together one."""

import os

import pytest

from metamodel.serving.held_bytes import HeldBytes

pytestmark = pytest.mark.tableless


def test_a_worker_takes_no_more_than_its_own_limit() -> None:
    worker = HeldBytes(2, 10, 100).of(0)
    assert [worker.take(6), worker.take(6), worker.take(4)] == [True, False, True]
    worker.give_back(6)
    assert worker.take(6)


def test_all_workers_take_no_more_than_the_limit_of_all() -> None:
    held = HeldBytes(3, 10, 15)
    first, second = held.of(0), held.of(2)
    assert [first.take(10), second.take(6), second.take(5)] == [True, False, True]
    first.give_back(1)
    assert second.take(1)


def test_what_a_worker_held_in_another_process_counts_until_one_of_its_number_begins_anew() -> None:
    held = HeldBytes(2, 10, 10)
    process = os.fork()
    if process == 0:
        os._exit(0 if held.of(1).take(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    worker = held.of(0)
    assert not worker.take(1)
    held.of(1)
    assert worker.take(10)
