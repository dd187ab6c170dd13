"""Files and directories that appear when they are complete: what stood there before stays until then.

Until then they have a hidden name beside it that nobody can guess, and a lock that the system releases however their
process ends. Whoever writes there next takes away what has none, so that a killed process leaves nothing for long.
"""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metamodel.common.user_cache import is_ours

try:
    import fcntl
except ImportError:  # Windows: what a killed process left stays there
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_being_written", "whole_directory", "whole_file"]

_UNFINISHED = re.compile(r"\..+\.unfinished-\d+-[0-9a-f]{8}")


@contextmanager
def whole_file(path: Path, *, tidy: bool = True) -> Iterator[Path]:
    """Hand out the name under which to write a file, which is put at `path` when the block ends well.

    Parameters
    ----------
    path
        The file. Where it leads to another one, that one is replaced; a pipe or a device is written to as it is.
    tidy
        Whether to take away what killed processes left beside it. Not for a folder of very many files.

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
    if tidy:
        _tidy(target.parent)
    with _own(target, lambda unfinished: unfinished.touch(exist_ok=False)) as unfinished:
        yield unfinished
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Do the same for a directory that is not there yet, nor need be what is above it; an empty one is handed out."""
    _tidy(path.parent)
    with _own(path, lambda unfinished: unfinished.mkdir(parents=True)) as unfinished:
        yield unfinished
        unfinished.rename(path)


def is_being_written(unfinished: Path) -> bool:
    """Whether a living process has not finished yet what it writes under this name."""
    if fcntl is None:
        return False
    with suppress(FileNotFoundError):
        lock = os.open(unfinished, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        finally:
            os.close(lock)
    return False


@contextmanager
def _own(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make something beside a target, with a lock where the file system has locks; what is left of it goes."""
    unfinished = target.with_name(f".{target.name}.unfinished-{os.getpid()}-{secrets.token_hex(4)}")
    lock = -1
    try:
        make(unfinished)
        if fcntl is not None:
            lock = os.open(unfinished, os.O_RDONLY)
            _is_free(lock)
            if not _is_at(unfinished, lock):  # taken away before the lock was had
                make(unfinished)
        yield unfinished
    except OSError as error:
        if error.filename is not None and str(error.filename) == str(unfinished):
            error.filename = str(target)  # the name that people know
        raise
    finally:
        _remove(unfinished)
        if lock >= 0:
            os.close(lock)


def _tidy(folder: Path) -> None:
    """Take away what processes that were killed had not finished; of this user's, and of nobody else's."""
    if fcntl is None:
        return
    with suppress(OSError):  # whoever writes there says what is wrong with the folder
        for entry in os.scandir(folder):
            if _UNFINISHED.fullmatch(entry.name):
                with suppress(OSError):
                    _take_away(Path(entry.path))


def _take_away(unfinished: Path) -> None:
    found = unfinished.lstat()
    if not is_ours(found) or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return
    lock = os.open(unfinished, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if _is_free(lock) and _is_at(unfinished, lock):
            _remove(unfinished)
    finally:
        os.close(lock)


def _remove(unfinished: Path) -> None:
    if unfinished.is_dir():
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        unfinished.unlink(missing_ok=True)


def _is_free(lock: int) -> bool:
    """Take the lock of an open file unless another process has it, or the file system knows no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, opened: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(opened))
    except FileNotFoundError:
        return False
