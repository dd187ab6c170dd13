"""How many bytes of bodies a server holds at once: a limit for each worker, and one for all of them together."""

import mmap
import struct

__all__ = ["HeldBytes", "WorkerBytes"]

_NUMBER = struct.Struct("q")


class HeldBytes:
    """What all workers hold; to be made before they are forked.

    Parameters
    ----------
    workers
        How many.
    of_worker, of_all
        Bytes that each may hold, and all of them.
    """

    def __init__(self, workers: int, of_worker: int, of_all: int) -> None:
        self._held = mmap.mmap(-1, workers * _NUMBER.size)
        self._of_worker, self._of_all = of_worker, of_all

    def of(self, worker: int) -> "WorkerBytes":
        """Begin to count for a worker, of which an earlier one of its number has left nothing."""
        _NUMBER.pack_into(self._held, worker * _NUMBER.size, 0)
        return WorkerBytes(self._held, worker, self._of_worker, self._of_all)


class WorkerBytes:
    """What one worker holds; used by its event loop alone."""

    def __init__(self, held: mmap.mmap, worker: int, of_worker: int, of_all: int) -> None:
        self._held = held
        self._place = worker * _NUMBER.size
        self._of_worker, self._of_all = of_worker, of_all
        self._mine = 0

    def take(self, size: int) -> bool:
        """Count more bytes, unless they are too many; returns whether they were counted.

        Workers count without a lock: two that count at the same moment may go over the limit of all by one part of a
        body each.
        """
        others = sum(number for (number,) in _NUMBER.iter_unpack(self._held)) - self._mine
        if self._mine + size > self._of_worker or others + self._mine + size > self._of_all:
            return False
        self._set(self._mine + size)
        return True

    def give_back(self, size: int) -> None:
        """Count them no more."""
        self._set(self._mine - size)

    def _set(self, size: int) -> None:
        self._mine = size
        _NUMBER.pack_into(self._held, self._place, size)
