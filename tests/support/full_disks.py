"""A disk that is full, for this process alone: no file may grow beyond so many bytes."""

import contextlib
import resource
from collections.abc import Iterator

__all__ = ["no_file_beyond"]


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let the system refuse what would make a file larger; what is larger already stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
