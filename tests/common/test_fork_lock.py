"""Locks and a fork: what another thread held is free in the new process, and what it was doing is forgotten there."""

import importlib
import os
import sys
import threading
from pathlib import Path

import forked_programs
import pytest
from forks import SECONDS, held_elsewhere, in_a_fork, running_elsewhere

import metamodel
from metamodel.bundle.shards import ShardRow
from metamodel.common import fork_lock
from metamodel.common.byte_cache import ByteCache
from metamodel.common.fork_lock import ForkLock, not_during_fork

pytestmark = [
    pytest.mark.tableless,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


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
        release.wait(SECONDS)
        return "of the parent", 1

    thread = threading.Thread(target=lambda: cache.get("key", slow))
    thread.start()
    loading.wait(SECONDS)
    loaded = in_a_fork(lambda: cache.get("key", lambda: ("of the child", 1)) == "of the child")
    release.set()
    thread.join()
    assert loaded
    assert cache.get("key", lambda: ("never called", 1)) == "of the parent"


def test_a_fork_waits_for_an_import_that_another_thread_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reached, release = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "events_of_slow_module", (reached, release), raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_module.py").write_text(
        "import threading\nreached, release = threading.events_of_slow_module\n"
        f"reached.set()\nrelease.wait({SECONDS})\nvalue = 7\n"
    )

    def value() -> int:
        with not_during_fork():
            import slow_module  # type: ignore[import-not-found]

            return int(slow_module.value)

    thread = threading.Thread(target=value)
    thread.start()
    reached.wait(SECONDS)
    threading.Timer(0.2, release.set).start()  # while the fork waits
    imported = in_a_fork(lambda: value() == 7)
    thread.join()
    monkeypatch.delitem(sys.modules, "slow_module")
    assert imported


def enters() -> bool:
    with not_during_fork():
        return True


def test_a_fork_does_not_wait_for_its_own_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fork_lock, "_LONGEST_WAIT", 1000.0)
    with not_during_fork():
        assert in_a_fork(lambda: enters() and in_a_fork(enters))
    assert in_a_fork(enters)


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch):
    def stay(reached: threading.Event, release: threading.Event) -> None:
        with not_during_fork():
            reached.set()
            release.wait(SECONDS)

    monkeypatch.setattr(fork_lock, "_LONGEST_WAIT", 0.1)
    with running_elsewhere(stay):
        assert in_a_fork(enters)
        assert enters()
    assert in_a_fork(enters)


def test_whoever_comes_while_a_fork_waits_goes_on_after_it():
    entered = threading.Event()

    def enter() -> None:
        with not_during_fork(), not_during_fork():
            entered.set()

    def fork(reached: threading.Event, release: threading.Event) -> None:
        fork_lock._gate.before_fork()
        reached.set()
        release.wait(SECONDS)
        fork_lock._gate.after_fork()

    with running_elsewhere(fork):
        late = threading.Thread(target=enter)
        late.start()
        assert not entered.wait(0.1)
    late.join()
    assert entered.is_set()


def test_training_and_scoring_are_imported_where_there_is_neither_fork_nor_fcntl():
    program = f"""
{forked_programs.anew("metamodel")}
import os
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules[name] = None
import multiprocessing, joblib, mlflow, sklearn.linear_model  # what others do with forks is their affair
for name in ("fork", "register_at_fork", "getuid", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
import metamodel.training.train, metamodel.flavor.load, metamodel.scoring, metamodel.tracking.log_training
import metamodel.bundle.writer, metamodel.flavor.remote.loader, metamodel.cli, metamodel.serving
"""
    done = forked_programs.run("program_text", program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="cached properties have no lock here")
def test_a_property_that_another_thread_computes_is_computed_after_a_fork():
    with held_elsewhere(vars(ShardRow)["proof"].lock):
        computed = in_a_fork(lambda: len(ShardRow("[1]", 1, "skipped", "").proof) == 64)
    assert computed


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="cached properties have no lock here")
def test_a_property_of_a_module_that_was_imported_since_the_last_fork_is_computed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert in_a_fork(enters)
    (tmp_path / "late_module.py").write_text(
        "from functools import cached_property\nclass Late:\n    three = cached_property(lambda self: 3)\n"
    )
    monkeypatch.setattr(metamodel, "__path__", [*metamodel.__path__, str(tmp_path)])
    late = importlib.import_module("metamodel.late_module")
    try:
        with held_elsewhere(vars(late.Late)["three"].lock):
            computed = in_a_fork(lambda: late.Late().three == 3)
    finally:
        del sys.modules["metamodel.late_module"], metamodel.late_module
    assert computed
