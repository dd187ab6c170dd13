"""Faults of the machine and of the store, in one line: a full disk, a database that cannot be written.

Libraries wrap what the system said in errors of their own; what counts is found underneath.
"""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from metamodel.common.messages import short_line
from metamodel.exceptions import InputError, MetaModelError, StorageFailed

__all__ = ["failure_line", "known_failure", "storage_failures", "without_walls"]

_FULL = "Free some space, or write to another disk"

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Number of a system's error → what to do.
_REMEDIES = {
    **dict.fromkeys(_DISK_FULL, _FULL),
    errno.EIO: "Check the disk",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or use fewer processes",
    errno.ENOMEM: "Use fewer processes (--n-jobs), or a machine with more memory",
}

# How a message of SQLite starts → what to do.
_OF_DATABASES = {
    "database or disk is full": _FULL,
    "disk I/O error": "Check the disk and its free space",
    "attempt to write a readonly database": "Check who may write there, or set MLFLOW_TRACKING_URI to another store",
    "unable to open database file": "Check that its folder exists and who may write there",
    "database is locked": "Another process is writing there. Try again when it has finished",
    "file is not a database": "Set MLFLOW_TRACKING_URI to MLflow's own store",
    "database disk image is malformed": "Restore it from a copy",
}


def failure_line(error: BaseException) -> str | None:
    """Say what the system or the database said, and what to do.

    Parameters
    ----------
    error
        What was raised; the errors that it was raised from are looked through too.

    Returns
    -------
    str or None
        Fact, evidence and remedy; None where the fault lies elsewhere.

    Examples
    --------
    >>> failure_line(OSError(errno.ENOSPC, "No space left on device", "shards/00000.sqlite"))
    "'shards/00000.sqlite' cannot be written: No space left on device. Free some space, or write to another disk."
    >>> failure_line(KeyError("x")) is None
    True
    """
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            line = _of_database(str(cause))
        elif isinstance(cause, OSError) and cause.errno in _REMEDIES:
            written = cause.filename2 or cause.filename  # where a file is copied, the second one
            what = repr(written) if written else "A file"
            line = f"{what} cannot be written: {cause.strerror}. {_REMEDIES[cause.errno]}."
        else:
            continue
        if line:
            return line
    return _of_text(str(error))


def known_failure(error: BaseException) -> MetaModelError | None:
    """Make an error of ours of what the system or a database said.

    Returns
    -------
    MetaModelError or None
        `StorageFailed` where the machine is at fault; `InputError` where a path leads to nothing that can be used; None
        where the fault lies elsewhere.

    Examples
    --------
    >>> known_failure(PermissionError(errno.EACCES, "Permission denied", "/root/page.html"))
    InputError("'/root/page.html' cannot be used: Permission denied. Check the path and who may write there.")
    """
    if line := failure_line(error):
        return StorageFailed(line)
    if isinstance(error, OSError) and error.filename is not None:
        fact = f"{str(error.filename)!r} cannot be used: {error.strerror}"
        return InputError(f"{fact}. Check the path and who may write there.")
    return None


@contextmanager
def storage_failures() -> Iterator[None]:
    """Raise what the system or a database says in the block as an error of ours; a decorator too.

    Raises
    ------
    StorageFailed, InputError
        As `known_failure`; every other error is let through.
    """
    try:
        yield
    except MetaModelError:
        raise
    except Exception as error:
        if (known := known_failure(error)) is None:
            raise
        raise known from error


def without_walls(record: logging.LogRecord) -> bool:
    """Leave out what a store's library logs of its own affairs and of failures that the command tells; cut the rest.

    A filter of loggers.
    """
    if _of_text(record.getMessage()):
        return False
    lines = record.getMessage().splitlines()
    record.msg, record.args, record.exc_info, record.exc_text = (lines[0] if lines else ""), (), None, None
    return record.levelno > logging.INFO


def _of_database(message: str) -> str | None:
    remedy = next((remedy for start, remedy in _OF_DATABASES.items() if message.startswith(start)), None)
    return None if remedy is None else f"A database cannot be used: {message}. {remedy}."


def _of_text(text: str) -> str | None:
    """Find what the system or SQLite said where only the text has come through, as SQLAlchemy and MLflow write it."""
    for number in _DISK_FULL:
        if os.strerror(number) in text:
            return f"A file cannot be written: {os.strerror(number)}. {_FULL}."
    known = next((start for start in _OF_DATABASES if f"Error) {start}" in text), None)
    return None if known is None else _of_database(short_line(known))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        wrapped = getattr(current, "orig", None)  # SQLAlchemy's
        if isinstance(wrapped, BaseException):
            yield wrapped
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
