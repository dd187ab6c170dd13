"""A time limit for a piece of work in this very thread, without signals and without killing a process.

What is raised in the middle of anything may come where errors are ignored: in a finalizer, in a callback of the garbage
collector or of a weak reference, in a callback of native code. The interpreter tells of such a loss (`losses_told`),
and who raised it does so again.
"""

import ctypes
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from sklearn import get_config, set_config

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["TimeLimitReached", "kept_settings", "losses_told", "time_limit"]

# How often a limit that was reached looks whether its block was left, or what it raised was lost.
_LOOK_SECONDS = 0.01

# Thread and class of an error → what to do where it was lost there.
_told: dict[tuple[int, type[BaseException]], Callable[[], None]] = {}


class TimeLimitReached(BaseException):
    """Raised in the middle of the work; no `Exception`, so that an estimator's own error handling lets it through."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeLimitReached` inside the block when its time is over.

    A second thread asks the interpreter to raise it here, which it does between two steps of Python code. So a single
    call into native code is not interrupted: the limit holds as soon as that call comes back.

    Parameters
    ----------
    seconds
        The limit; None for none.

    Examples
    --------
    >>> with time_limit(0.01):
    ...     while True:
    ...         pass
    Traceback (most recent call last):
    metamodel.common.time_limit.TimeLimitReached
    """
    if seconds is None:
        yield
        return
    limit = _Limit(seconds)
    with kept_settings(), losses_told(TimeLimitReached, limit.lost):
        try:
            limit.timer.start()  # a short limit strikes here
            yield
        finally:
            try:
                limit.leave()
            except TimeLimitReached:  # just now; it does not come twice
                limit.leave()
                raise


class _Limit:
    """The time of one block in this thread."""

    def __init__(self, seconds: float) -> None:
        # A lock of C's own: another one could be interrupted when it is taken and has not said so yet.
        self._lock, self._process, self._thread = threading.Lock(), os.getpid(), threading.get_ident()
        self._done, self._asked, self._owed = False, False, True
        self.timer = threading.Timer(seconds, self._interrupt)
        self.timer.daemon = True

    def lost(self) -> None:
        """Strike again; without the lock, which this thread may hold where it is told."""
        self._owed = True

    def leave(self) -> None:
        if os.getpid() == self._process:  # else the timer is not here, and may have held the lock at the fork
            with self._lock:
                self._done = True
        self.timer.cancel()
        if self._asked:
            _raise_in(self._thread, None)  # take the request back, should it still wait

    def _interrupt(self) -> None:
        while True:
            with self._lock:
                if self._done:
                    return
                if self._owed:
                    self._owed, self._asked = False, True
                    _raise_in(self._thread, TimeLimitReached)
            time.sleep(_LOOK_SECONDS)


@contextmanager
def losses_told(error: type[BaseException], tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` where an error that was raised in this thread, inside the block, came where errors are ignored.

    Parameters
    ----------
    error
        Its class. The interpreter's own message of it is left out.
    tell
        Is called in the middle of anything, as the error came: it has to take no lock.

    Examples
    --------
    >>> class Finalized:
    ...     def __del__(self):
    ...         raise TimeLimitReached
    >>> with losses_told(TimeLimitReached, lambda: print("lost")):
    ...     _ = Finalized()
    ...     del _
    lost
    """
    _listen()
    place = (threading.get_ident(), error)
    outer = _told.get(place)
    _told[place] = tell
    try:
        yield
    finally:
        if outer is None:
            del _told[place]
        else:
            _told[place] = outer


def _listen() -> None:
    """Have the interpreter tell of errors that are ignored; who was told before is, of all that are not looked for."""
    earlier = sys.unraisablehook
    if getattr(earlier, "hears_losses", False):
        return

    def hear(unraisable: "UnraisableHookArgs") -> None:
        if (tell := _told.get((threading.get_ident(), unraisable.exc_type))) is None:
            earlier(unraisable)
        else:
            tell()

    hear.hears_losses = True  # type: ignore[attr-defined]
    sys.unraisablehook = hear


@contextmanager
def kept_settings() -> Iterator[None]:
    """Leave the settings of NumPy, scikit-learn and `warnings` as they were, however the block ends.

    Whoever changes one for a while sets it first and then remembers what to put back (`with np.errstate(...)`). Work
    that is interrupted between these two steps would leave it changed for everything that comes after in this thread.

    Examples
    --------
    >>> with kept_settings():
    ...     _ = np.seterr(over="ignore")
    >>> np.geterr()["over"]
    'warn'
    """
    floating_point, estimators = np.geterr(), get_config()
    with warnings.catch_warnings():
        try:
            yield
        finally:
            np.seterr(**floating_point)
            set_config(**estimators)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    wanted = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
