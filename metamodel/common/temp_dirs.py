"""Directories that belong to a process, and that the next process takes away where their owner was killed.

Beside each directory lies a file that its owner holds a lock on; the system releases the lock however the owner ends.
"""

import atexit
import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from metamodel.common.fork_lock import ForkLock

__all__ = ["OwnedDirectory", "plainly_named", "scratch_directory", "sweep"]

_PREFIX = "metamodel-"


class OwnedDirectory:
    """A directory that is there until its process ends.

    Parameters
    ----------
    parent
        An existing directory.
    prefix
        Beginning of its name, by which `sweep` finds it.

    Attributes
    ----------
    path
        The directory.
    """

    def __init__(self, parent: Path, prefix: str = "") -> None:
        self._pid = os.getpid()
        self.path = parent / f"{prefix}{self._pid}-{secrets.token_hex(8)}"
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)
        self._lock.acquire()  # before there is anything that could be left behind
        self.path.mkdir(mode=0o700)
        atexit.register(self.close)

    def close(self) -> None:
        """Take it away; in a process that was forked from the owner, and ends earlier, do nothing."""
        if self._pid == os.getpid():
            shutil.rmtree(self.path, ignore_errors=True)
            Path(f"{self.path}.lock").unlink(missing_ok=True)
            self._lock.release()


def sweep(parent: Path, prefix: str = "") -> None:
    """Take away what dead processes left behind.

    Parameters
    ----------
    parent, prefix
        As for `OwnedDirectory`. The directory may be one that everybody writes to: other users' files stay.
    """
    for lock in parent.glob(f"{prefix}*.lock"):
        with contextlib.suppress(Timeout, OSError):  # its owner lives, or another process is sweeping too
            found = lock.lstat()
            if stat.S_ISREG(found.st_mode) and _is_ours(found):
                with FileLock(lock, timeout=0):
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    lock.unlink(missing_ok=True)


def _is_ours(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()  # Windows has no users' numbers


_mine: list[OwnedDirectory] = []

_guard = ForkLock(forget=_mine.clear)


def scratch_directory(name: str) -> Path:
    """Make a directory in the system's temporary directory; it goes when this process does, however it ends.

    Parameters
    ----------
    name
        What it is for.

    Examples
    --------
    >>> directory = scratch_directory("model")
    >>> directory.is_dir(), directory.name.startswith("model-")
    (True, True)
    """
    with _guard:
        if not _mine or not _mine[0].path.is_dir():
            temporary = Path(tempfile.gettempdir())
            sweep(temporary, _PREFIX)
            _mine[:] = [OwnedDirectory(temporary, _PREFIX)]
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_mine[0].path))


@contextmanager
def plainly_named(path: Path) -> Iterator[Path]:
    """Give a directory a second name where MLflow, which reads paths as URIs, would misread its own."""
    if not re.search("[#%?]", str(path.absolute())):
        yield path
        return
    with tempfile.TemporaryDirectory() as directory:
        # It refuses symbolic links.
        yield Path(
            shutil.copytree(path, Path(directory) / re.sub("[#%?]", "_", path.name), copy_function=_link_or_copy)
        )


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copyfile(source, target)
