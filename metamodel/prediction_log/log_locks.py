"""Who may take files of a log away: one compaction at a time, and only while nobody reads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metamodel.exceptions import InputError

__all__ = ["reading", "removing", "the_only_writer"]

_READERS, _WRITER = ".readers.lock", ".writer.lock"


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep every file of the log where it is while the block runs; files may still come."""
    import fcntl

    file = _readers_file(folder)
    if file is None:
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
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
    """Wait until nobody reads, and keep readers waiting; without waiting, tell whether nobody reads."""
    import fcntl

    file = os.open(folder / _READERS, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        yield False
        return
    try:
        yield True
    finally:
        os.close(file)


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
