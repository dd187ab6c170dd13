"""Locks that a forked process finds free, and what it has to forget; knows nothing of what they guard.

A lock that another thread holds at the moment of a fork stays locked in the new process for ever, because the thread
that would release it is not there; what it guards may be half changed.
"""

import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from types import TracebackType

__all__ = ["ForkLock"]


class ForkLock:
    """A lock for the threads of one process.

    Parameters
    ----------
    forget
        Called in a process that was forked, before anything else runs there: to drop what belongs to the parent's
        threads, such as loads under way, pools and connections.

    Examples
    --------
    >>> lock = ForkLock()
    >>> with lock:
    ...     lock.locked()
    True
    """

    def __init__(self, forget: Callable[[], object] | None = None) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._forget = forget
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._holder = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._holder = None
        self._lock.release()

    def locked(self) -> bool:
        """Whether a thread holds it."""
        return self._lock.locked()

    def after_fork(self) -> None:
        """Be free, and forget; a lock that the forking thread itself holds stays its own."""
        if self._holder != threading.get_ident():
            self._lock, self._holder = threading.Lock(), None
            if self._forget is not None:
                self._forget()


_PACKAGE = __name__.partition(".")[0]

_locks: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock.after_fork()
    if sys.version_info < (3, 12):
        _free_cached_properties()


def _free_cached_properties() -> None:
    """Give every cached property of ours a new lock: before Python 3.12 each has one, for all objects of its class."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == _PACKAGE]
    for owner in {value for module in modules for value in list(vars(module).values()) if isinstance(value, type)}:
        for member in vars(owner).values():
            if isinstance(member, cached_property):
                member.lock = threading.RLock()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
