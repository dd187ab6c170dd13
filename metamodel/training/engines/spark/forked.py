"""Do work in a forked process, so that what kills a process (a crash in native code, no memory) ends one item alone.

A forked process shares its parent's memory, so the rows of a group are not copied or sent; what travels is the results.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from typing import TypeVar

__all__ = ["in_forks"]

T = TypeVar("T")

# An item that ends its process this often is given up.
_ATTEMPTS = 2

_PR_SET_PDEATHSIG = 1


def in_forks(work: Callable[[int], T], died: Callable[[int], T], total: int) -> Iterator[T]:
    """Yield ``work(0)`` to ``work(total - 1)``, each made in a forked process.

    One process does as many items as it survives. An item at which two processes have died is answered by `died`.

    Parameters
    ----------
    work
        Its results are pickled; what it raises is raised here.
    died
        What to yield for an item that cannot be survived.
    total
        How many items there are.

    Examples
    --------
    >>> list(in_forks(lambda i: os._exit(1) if i == 1 else i * 10, lambda i: f"item {i} is deadly", 3))
    [0, 'item 1 is deadly', 20]
    """
    done = attempts = 0
    while done < total:
        before = done
        for result in _survived(work, done, total):
            yield result
            done += 1
        attempts = 1 if done > before else attempts + 1
        if done < total and attempts == _ATTEMPTS:
            yield died(done)
            done, attempts = done + 1, 0


def _survived(work: Callable[[int], T], start: int, total: int) -> Iterator[T]:
    """Yield the results of one forked process, until it has no more items or dies."""
    reader, writer = Pipe(duplex=False)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        reader.close()
        _work_and_exit(work, range(start, total), writer, parent)
    writer.close()
    try:
        for _ in range(start, total):
            try:
                fine, result = reader.recv()
            except (EOFError, OSError):  # at the end, or in the middle, of what it sent
                return
            if not fine:
                raise result
            yield result
    finally:
        reader.close()
        os.kill(
            child, signal.SIGKILL
        )  # it has nothing to say any more; an ended process takes no harm before `waitpid`
        os.waitpid(child, 0)


def _work_and_exit(work: Callable[[int], T], items: range, writer: Connection, parent: int) -> None:
    try:
        _die_with(parent)
        for item in items:
            try:
                message: tuple[bool, object] = (True, work(item))
            except BaseException as error:  # noqa: BLE001 - raised again by the parent
                message = (False, error)
            writer.send(message)
            if not message[0]:
                break
    finally:
        # Neither the parent's exit handlers nor its buffered output belong to this process.
        os._exit(0)


def _die_with(parent: int) -> None:
    """End this process when its parent ends, so that nothing goes on fitting for nobody."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
