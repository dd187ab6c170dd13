"""Directories that belong to a process, and that the next process takes away where their owner was killed.

Beside each directory lies a file that its owner holds a lock on; the system releases the lock however the owner ends.
"""

import atexit
import glob
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from metamodel.common.fork_lock import ForkLock
from metamodel.common.user_cache import is_ours

__all__ = [
    "SHARED_MEMORY",
    "OwnedDirectory",
    "directory_until_exit",
    "discard",
    "discard_until_exit",
    "keep",
    "plainly_named",
    "scratch_directory",
    "sweep",
    "temporary_directory",
]

# A file system in memory, where Linux has it.
SHARED_MEMORY = Path("/dev/shm")

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
            self.release()

    def release(self) -> None:
        """Own it no longer, and let it stay."""
        Path(f"{self.path}.lock").unlink(missing_ok=True)
        self._lock.release()
        atexit.unregister(self.close)


def _anything(left: Path) -> bool:
    return True


def sweep(
    parent: Path, prefix: str = "", may_go: Callable[[Path], bool] = _anything, alive: set[Path] | None = None
) -> None:
    """Take away what dead processes left behind.

    Parameters
    ----------
    parent, prefix
        As for `OwnedDirectory`. The directory may be one that everybody writes to: other users' files stay.
    may_go
        Called with each directory that would go, while no other process can sweep it; what it denies stays.
    alive
        Locks whose owners lived when they were looked at; these are not looked at again, and new ones are added.
    """
    names = glob.glob(f"{prefix}*.lock", root_dir=parent, include_hidden=True)
    for lock in {parent / name for name in names} - (alive or set()):
        try:
            status = lock.lstat()
            if stat.S_ISREG(status.st_mode) and is_ours(status):
                with FileLock(lock, timeout=0):
                    if may_go(lock.with_suffix("")):
                        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                        lock.unlink(missing_ok=True)
        except Timeout:  # its owner lives, or another process is sweeping too
            if alive is not None:
                alive.add(lock)
        except OSError:
            continue  # it has gone since, or is nobody's to open


_mine: list[OwnedDirectory] = []

_guard = ForkLock(forget=_mine.clear)


def scratch_directory(name: str, parent: Path | None = None) -> Path:
    """Make a directory in the system's temporary directory; it goes when this process does, however it ends.

    Parameters
    ----------
    name
        What it is for.
    parent
        A directory in whose file system it shall lie instead.

    Examples
    --------
    >>> directory = scratch_directory("model")
    >>> directory.is_dir(), directory.name.startswith("model-")
    (True, True)
    """
    temporary = Path(tempfile.gettempdir()) if parent is None else parent
    with _guard:
        mine = next((owned for owned in _mine if owned.path.parent == temporary and owned.path.is_dir()), None)
        if mine is None:
            _sweep_all(temporary)
            mine = OwnedDirectory(temporary, _PREFIX)
            _mine.append(mine)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=mine.path))


# Each lock of a living process is looked at once; the next process looks at it again. Whoever trains a thousand models
# in one process would otherwise try, at each of them, the locks of all that came before.
_alive: set[Path] = set()


def _sweep_all(*parents: Path) -> None:
    for parent in dict.fromkeys([*parents, Path(tempfile.gettempdir()), SHARED_MEMORY]):
        sweep(parent, _PREFIX, _without_semaphores, _alive)


def _without_semaphores(left: Path) -> bool:
    """Take the semaphores of a dead process's workers away too; loky names them by the process's number."""
    number = left.name.removeprefix(_PREFIX).partition("-")[0]
    if not Path("/proc", number).exists():  # nobody has got the number since
        for semaphore in left.parent.glob(f"sem.loky-{number}-*"):
            if is_ours(semaphore.lstat()):
                semaphore.unlink(missing_ok=True)
    return True


@contextmanager
def temporary_directory(name: str) -> Iterator[Path]:
    """Make a directory for a block; where the process is killed in it, the next command takes it away.

    Parameters
    ----------
    name
        What it is for.

    Examples
    --------
    >>> with temporary_directory("log") as directory:
    ...     (directory / "file").touch()
    >>> directory.exists()
    False
    """
    directory = scratch_directory(name)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def discard(path: Path) -> bool:
    """Take a directory of `scratch_directory` away before its process ends; returns whether it was this process's."""
    with _guard:
        mine = any(path.is_relative_to(directory.path) for directory in _mine)
    if mine:
        shutil.rmtree(path, ignore_errors=True)
    return mine


_until_exit: list[OwnedDirectory] = []


def directory_until_exit() -> Path:
    """Make a directory that goes when the process that made it ends, however it ends, unless it is to be kept."""
    temporary = Path(tempfile.gettempdir())
    _sweep_all(temporary)
    _until_exit.append(OwnedDirectory(temporary, _PREFIX))
    return _until_exit[-1].path


def keep(path: Path) -> None:
    """Let a directory of this process's, or the one that it lies in, stay when the process ends."""
    for owned in [owned for owned in _until_exit if path.is_relative_to(owned.path)]:
        _until_exit.remove(owned)
        owned.release()


def discard_until_exit(path: Path) -> None:
    """Take a directory of `directory_until_exit`, or the one that `path` lies in, away before its process ends."""
    for owned in [owned for owned in _until_exit if path.is_relative_to(owned.path)]:
        _until_exit.remove(owned)
        owned.close()


@contextmanager
def plainly_named(path: Path) -> Iterator[Path]:
    """Give a directory a second name where MLflow, which reads paths as URIs, would misread its own."""
    if not re.search("[#%?]", str(path.absolute())):
        yield path
        return
    with temporary_directory("named") as directory:
        # It refuses symbolic links.
        yield Path(shutil.copytree(path, directory / re.sub("[#%?]", "_", path.name), copy_function=_link_or_copy))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copyfile(source, target)
