"""Locks that a forked process finds free, and what it has to forget; knows nothing of what they guard.

A lock that another thread holds at the moment of a fork stays locked in the new process for ever, because the thread
that would release it is not there; what it guards may be half changed. Locks that are not ours (of an import under way,
of SQLite, of a compiler) cannot be made free: a fork waits until no thread is in the middle of what takes them.
"""

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType, TracebackType

__all__ = ["ForkLock", "not_during_fork"]

# A fork waits no longer than this: one of the threads may be waiting for the one that forks.
_LONGEST_WAIT = 10.0


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


class _Gate:
    """Lets threads in while nobody forks, and a fork begin when they are out."""

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}  # how deep each thread is in it
        self.start_anew()

    def start_anew(self) -> None:
        """Keep, in a forked process, what the thread that forked is in itself."""
        own = threading.get_ident()
        self._inside = {thread: depth for thread, depth in self._inside.items() if thread == own}
        self._changed = threading.Condition(threading.Lock())
        self._forks = 0

    def enter(self) -> None:
        own = threading.get_ident()
        with self._changed:
            if own not in self._inside:  # else a fork may be waiting for this very thread
                self._changed.wait_for(lambda: not self._forks, _LONGEST_WAIT)
            self._inside[own] = self._inside.get(own, 0) + 1

    def leave(self) -> None:
        own = threading.get_ident()
        with self._changed:
            self._inside[own] -= 1
            if not self._inside[own]:
                del self._inside[own]
                self._changed.notify_all()

    def before_fork(self) -> None:
        own = threading.get_ident()
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._inside.keys() - {own}, _LONGEST_WAIT)

    def after_fork(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()


_gate = _Gate()


@contextmanager
def not_during_fork() -> Iterator[None]:
    """Let no other thread fork this process in the middle of the block, unless it has waited for seconds.

    For short work in which others' code takes locks of the whole process: an import, a compilation, SQLite.
    """
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


_PACKAGE = __name__.partition(".")[0]

_locks: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _after_fork() -> None:
    _gate.start_anew()
    for lock in list(_locks):
        lock.after_fork()
    if sys.version_info < (3, 12):
        _free_cached_properties()


# Locks of cached properties, and the modules in which they were looked for.
_properties: "list[cached_property[object]]" = []
_searched: "weakref.WeakSet[ModuleType]" = weakref.WeakSet()


def _before_fork() -> None:
    _gate.before_fork()
    if sys.version_info < (3, 12):
        _find_cached_properties()


def _find_cached_properties() -> None:
    """Look for cached properties of ours in modules that were imported since the last fork.

    In the process that forks: the new one would copy each page of memory with an object that it only looks at.
    """
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == _PACKAGE]
    for module in modules:
        if not isinstance(module, ModuleType) or module in _searched or _is_being_imported(module):
            continue
        for owner in {value for value in list(vars(module).values()) if isinstance(value, type)}:
            members = list(vars(owner).values()) if owner.__module__ == module.__name__ else []
            _properties.extend(member for member in members if isinstance(member, cached_property))
        _searched.add(module)  # last: another thread that forks meanwhile finds them itself


def _is_being_imported(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _free_cached_properties() -> None:
    """Give every cached property of ours a new lock: before Python 3.12 each has one, for all objects of its class."""
    for member in _properties:
        member.lock = threading.RLock()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_parent=_gate.after_fork, after_in_child=_after_fork)
