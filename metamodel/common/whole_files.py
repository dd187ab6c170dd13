"""Files and directories that appear when they are complete: what stood there before stays until then."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_directory", "whole_file"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Hand out the name under which to write a file, which is put at `path` when the block ends well.

    Parameters
    ----------
    path
        The file. Where it leads to another one, that one is replaced; a pipe or a device is written to as it is.

    Examples
    --------
    >>> import tempfile
    >>> directory = tempfile.TemporaryDirectory()
    >>> page = Path(directory.name) / "page.html"
    >>> with whole_file(page) as unfinished:
    ...     _ = unfinished.write_text("<html>")
    ...     page.exists()
    False
    >>> page.read_text()
    '<html>'
    >>> directory.cleanup()
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield path
        return
    unfinished = _beside(target)
    try:
        yield unfinished
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Do the same for a directory that is not there yet."""
    unfinished = _beside(path)
    try:
        yield unfinished
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished-{os.getpid()}")
