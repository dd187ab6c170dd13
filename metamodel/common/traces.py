"""Tell in a log where an error came from, without what it says: its text may hold a stranger's values."""

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

__all__ = ["log_failure", "places", "silenced"]

# Frames of one error that are told, the innermost.
_FRAMES = 12


def log_failure(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log an error in one line: kinds and places, of what caused it too, and no text."""
    logger.error("%s: %s", what, places(error))


def places(error: BaseException) -> str:
    """Say of what kind an error is and where it was raised, and the same of what it came from.

    Examples
    --------
    >>> try:
    ...     float("a stranger's value")
    ... except ValueError as error:
    ...     places(error)
    'ValueError at <module> (<doctest metamodel.common.traces.places[0]>:2)'
    """
    told, seen = [], set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = [
            f"{frame.name} ({_file(frame.filename)}:{frame.lineno})"
            for frame in traceback.extract_tb(cause.__traceback__)[-_FRAMES:]
        ]
        told.append(f"{type(cause).__name__}{' at ' if frames else ''}{' < '.join(reversed(frames))}")
        cause = cause.__cause__ or cause.__context__
    return "; from ".join(told)


class _Silence(logging.Filter):
    """Lets no record of a thread pass that is silenced."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    @property
    def is_on(self) -> bool:
        """Whether this thread is silenced."""
        return getattr(self._here, "is_on", False)

    @is_on.setter
    def is_on(self, is_on: bool) -> None:
        self._here.is_on = is_on

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record of this thread passes."""
        return not self.is_on


_silence = _Silence()


@contextmanager
def silenced(library: str) -> Iterator[None]:
    """Write nothing that a library logs in this thread: it quotes what strangers sent.

    Parameters
    ----------
    library
        Its logger, whose own handlers write what it and those below it log.
    """
    for handler in logging.getLogger(library).handlers:
        handler.addFilter(_silence)  # once, however often
    before, _silence.is_on = _silence.is_on, True
    try:
        yield
    finally:
        _silence.is_on = before


def _file(path: str) -> str:
    """Name a file so that it can be found, without where this machine has it."""
    return "/".join(PurePath(path).parts[-3:])
