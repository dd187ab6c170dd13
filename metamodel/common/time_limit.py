"""A time limit for a piece of work in this very thread, without signals and without killing a process."""

import ctypes
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn import get_config, set_config

__all__ = ["TimeLimitReached", "kept_settings", "time_limit"]


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
    # A lock of C's own: another one could be interrupted when it is taken and has not said so yet.
    lock, process = threading.Lock(), os.getpid()
    thread, state = threading.get_ident(), {"done": False, "asked": False}

    def interrupt() -> None:
        with lock:
            if not state["done"]:
                state["asked"] = True
                _raise_in(thread, TimeLimitReached)

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    with kept_settings():
        timer.start()
        try:
            yield
        finally:
            if os.getpid() == process:  # else the timer is not here, and may have held the lock at the fork
                with lock:
                    state["done"] = True
            timer.cancel()
            if state["asked"]:
                _raise_in(thread, None)  # take the request back, should it still wait


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
