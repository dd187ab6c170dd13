"""Forks of the tests' own process, and threads that are in the middle of something when they happen."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 100  # a busy machine is slow


def in_a_fork(check: Callable[[], bool]) -> bool:
    """Whether a check holds in a forked process; one that never ends does not hold."""
    process = os.fork()
    if process == 0:
        code = 3
        try:
            watchdog = threading.Timer(SECONDS, os._exit, [2])
            watchdog.start()
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


@contextmanager
def running_elsewhere(work: Callable[[threading.Event, threading.Event], object]) -> Iterator[threading.Event]:
    """Run something in another thread: the block begins when the first event is set, and the second ends it."""
    reached, release = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(reached, release))
    thread.start()
    assert reached.wait(SECONDS)
    try:
        yield release
    finally:
        release.set()
        thread.join()


@contextmanager
def held_elsewhere(lock: Any) -> Iterator[None]:
    """Another thread holds a lock while the block runs."""

    def hold(held: threading.Event, release: threading.Event) -> None:
        with lock:
            held.set()
            release.wait(SECONDS)

    with running_elsewhere(hold):
        yield
