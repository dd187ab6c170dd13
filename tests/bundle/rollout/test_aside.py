"""Calls beside their caller end in time, whatever they do."""

import threading

import pytest

from metamodel.bundle.rollout.aside import Aside
from metamodel.exceptions import ChallengerFailed


def test_a_call_gives_what_the_function_gives():
    assert Aside().call(lambda: 7, 30) == 7


def test_an_error_of_the_function_is_the_callers():
    def fail():
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        Aside().call(fail, 30)


def test_a_call_that_hangs_is_given_up_and_so_are_further_ones_until_it_ends():
    aside, released = Aside(threads=1), threading.Event()
    with pytest.raises(ChallengerFailed, match=r"took longer than 0\.01 s"):
        aside.call(released.wait, 0.01)
    with pytest.raises(ChallengerFailed, match="busy with earlier calls"):
        aside.call(lambda: 7, 30)
    released.set()
    while True:  # until the thread is free again
        try:
            assert aside.call(lambda: 7, 30) == 7
        except ChallengerFailed:
            continue
        break


def test_threads_are_used_again():
    aside = Aside(threads=1)
    assert len({aside.call(threading.get_ident, 30) for _ in range(5)}) == 1
