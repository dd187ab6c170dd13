"""Locks and a fork: what another thread held is free in the new process, and what it was doing is forgotten there."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from metamodel.bundle.shards import ShardRow
from metamodel.common.byte_cache import ByteCache
from metamodel.common.fork_lock import ForkLock

pytestmark = [
    pytest.mark.tableless,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

_SECONDS = 20


def in_a_fork(check: Callable[[], bool]) -> bool:
    """Whether a check holds in a forked process; one that never ends does not hold."""
    process = os.fork()
    if process == 0:
        watchdog = threading.Timer(_SECONDS, os._exit, [2])
        watchdog.start()
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


@contextmanager
def held_elsewhere(lock: Any) -> Iterator[None]:
    """Another thread holds a lock while the block runs."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait(_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(_SECONDS)
    yield
    release.set()
    thread.join()


def taken(lock: ForkLock) -> bool:
    with lock:
        return True


def test_a_lock_that_another_thread_holds_is_free_after_a_fork():
    lock = ForkLock()
    with held_elsewhere(lock):
        free = in_a_fork(lambda: not lock.locked() and taken(lock))
        still_held = lock.locked()
    assert (free, still_held, lock.locked()) == (True, True, False)


def test_what_belongs_to_the_parent_is_forgotten_in_the_new_process_alone():
    sessions = {"a": 1}
    lock = ForkLock(forget=sessions.clear)
    assert in_a_fork(lambda: taken(lock) and sessions == {})
    assert sessions == {"a": 1}


def test_a_lock_that_the_forking_thread_holds_stays_its_own():
    state = [1]
    lock = ForkLock(forget=state.clear)
    with lock:
        assert in_a_fork(lambda: lock.locked() and state == [1])
    assert not lock.locked()


def test_a_cache_forked_in_the_middle_of_a_load_loads_by_itself():
    cache, loading, release = ByteCache(limit=100), threading.Event(), threading.Event()

    def slow() -> tuple[str, int]:
        loading.set()
        release.wait(_SECONDS)
        return "of the parent", 1

    thread = threading.Thread(target=lambda: cache.get("key", slow))
    thread.start()
    loading.wait(_SECONDS)
    loaded = in_a_fork(lambda: cache.get("key", lambda: ("of the child", 1)) == "of the child")
    release.set()
    thread.join()
    assert loaded
    assert cache.get("key", lambda: ("never called", 1)) == "of the parent"


def test_training_and_scoring_are_imported_where_there_is_neither_fork_nor_fcntl():
    program = """
import os, sys
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
import multiprocessing, joblib, mlflow, sklearn.linear_model  # what others do with forks is their affair
for name in ("fork", "register_at_fork", "getuid", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
import metamodel.training.train, metamodel.flavor.load, metamodel.scoring, metamodel.tracking.log_training
import metamodel.bundle.writer, metamodel.flavor.remote.loader, metamodel.cli, metamodel.serving
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="cached properties have no lock here")
def test_a_property_that_another_thread_computes_is_computed_after_a_fork():
    with held_elsewhere(vars(ShardRow)["proof"].lock):
        computed = in_a_fork(lambda: len(ShardRow("[1]", 1, "skipped", "").proof) == 64)
    assert computed
