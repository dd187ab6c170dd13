"""Who may take files of a log away: one compaction at a time, and only while nobody reads."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metamodel.exceptions import InputError

__all__ = ["reading", "removing", "the_only_writer"]

_READERS, _WRITER = ".readers.lock", ".writer.lock"

# Seconds that others may read, or take files away, before somebody who waits for them gives up; and between two looks.
_LONGEST_WAIT, _PAUSE = 1800.0, 0.05


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep every file of the log where it is while the block runs; files may still come.

    Raises
    ------
    InputError
        A compaction does not come to its end.
    """
    import fcntl

    file = _readers_file(folder)
    if file is None:
        yield
        return
    try:
        _wait_for(file, fcntl.LOCK_SH, folder, "compacted")
        yield
    finally:
        os.close(file)


def _readers_file(folder: Path) -> int | None:
    """Open the readers' file, also where the first compaction is yet to come; None where there is none, nor can be."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # a reader may be allowed to read alone
        with suppress(OSError):
            return os.open(folder / _READERS, flags, 0o666)
    return None


@contextmanager
def removing(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Wait until nobody reads, and keep readers waiting; without waiting, tell whether nobody reads.

    Raises
    ------
    InputError
        Somebody reads for ever.
    """
    import fcntl

    file = os.open(folder / _READERS, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if wait:
            _wait_for(file, fcntl.LOCK_EX, folder, "read")
            yield True
        else:
            yield _had(file, fcntl.LOCK_EX)
    finally:
        os.close(file)


def _wait_for(file: int, kind: int, folder: Path, use: str) -> None:
    """Wait for a lock that others, also other users, may hold for ever."""
    end = time.monotonic() + _LONGEST_WAIT
    while not _had(file, kind):
        if time.monotonic() > end:
            raise InputError(
                f"{str(folder)!r} has been {use} by another process for {_LONGEST_WAIT:g} s. Let it end, or end it."
            )
        time.sleep(_PAUSE)


def _had(file: int, kind: int) -> bool:
    import fcntl

    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def the_only_writer(folder: Path) -> Iterator[None]:
    """Be the only one who compacts this log.

    Raises
    ------
    InputError
        Another process does.
    """
    import fcntl

    file = os.open(folder / _WRITER, os.O_RDWR | os.O_CREAT, 0o666)
    os.close(os.open(folder / _READERS, os.O_RDWR | os.O_CREAT, 0o666))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise InputError(f"{str(folder)!r} is being compacted by another process. Let it end, or end it.") from error
    try:
        yield
    finally:
        os.close(file)
