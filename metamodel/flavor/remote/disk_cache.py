"""Downloaded children on disk: bounded in bytes, shared by processes, least recently used out first, no leftovers.

::

    entries/<name>/      files of one child
    partial/<owner>/     downloads of a process that holds the lock `partial/<owner>.lock`
    locks/<xx>.lock      one download of a child at a time; 256 locks for all children
    turns/               when requests may be sent (metamodel.flavor.remote.rate_limit)
    index.sqlite         what is there, how large it is on disk, and which use of the cache was its last

A process that is killed releases its locks; the next one that opens the cache takes its partial downloads away, and
whatever is in `entries` without being in the index.
"""

import contextlib
import hashlib
import math
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from metamodel.common.byte_cache import limit_in_bytes
from metamodel.common.fork_lock import ForkLock, not_during_fork
from metamodel.common.temp_dirs import OwnedDirectory, sweep
from metamodel.common.user_cache import check_private, private_directory, user_cache
from metamodel.exceptions import ChildUnavailable, InputError

__all__ = ["DiskCache", "cache_directory", "process_disk_cache"]

_DIRECTORY_VARIABLE = "METAMODEL_DISK_CACHE"

_LIMIT_VARIABLE = "METAMODEL_DISK_CACHE_MB"

_DEFAULT_MB = 2048

_INDEX = "index.sqlite"

# Seconds that another process may take for a download before it is given up.
_LONGEST_LOCK = 900.0

# Seconds after which an entry that cannot be used is fetched again.
_DOUBTED_AFTER = 30.0

_TABLE = "CREATE TABLE IF NOT EXISTS entries (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, used REAL NOT NULL)"

# Uses are counted: a clock may be set back, and what is used then would go first.
_NEXT = "(SELECT coalesce(max(used), 0) + 1 FROM entries)"

# What SQLite says where somebody has cleared the directory.
_GONE = re.compile("no such table|unable to open database file")


class DiskCache:
    """Directories of files by name, at most `limit` bytes of them.

    Parameters
    ----------
    root
        Where they are; processes with the same root share them.
    limit
        Upper bound in bytes of what the file system allocates for them.

    Examples
    --------
    >>> cache = DiskCache(Path(tempfile.mkdtemp()), limit=10**6)
    >>> with cache.entry("child", lambda directory: (directory / "model").write_text("1")) as directory:
    ...     (directory / "model").read_text()
    '1'
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self.limit = limit
        self._make_directories()
        self._execute(_TABLE)
        self._clean()
        self._partial = OwnedDirectory(root / "partial")

    def close(self) -> None:
        """Take partial downloads of this process away."""
        self._partial.close()

    @contextmanager
    def entry(self, name: str, fill: Callable[[Path], object]) -> Iterator[Path]:
        """Hold an entry: nobody takes it away, and nobody else fills it meanwhile.

        Parameters
        ----------
        name
            Any text.
        fill
            Called with an empty directory where the entry is not there. What it raises is raised here, and nothing
            stays behind.

        Yields
        ------
        Path
            The entry's directory.
        """
        digest = hashlib.sha256(name.encode()).hexdigest()
        with self._held(digest):
            path = self.root / "entries" / digest
            if not self._touch(digest):
                self._fill(digest, path, fill)
            check_private(path)
            try:
                yield path
            except Exception as error:
                if not isinstance(error, ImportError) and not 0 <= _age(path) <= _DOUBTED_AFTER:
                    self._remove(digest)  # it may have come damaged; what was fetched just now is not fetched again
                raise

    def __contains__(self, name: str) -> bool:
        return (self.root / "entries" / hashlib.sha256(name.encode()).hexdigest()).is_dir()

    @property
    def size(self) -> int:
        """Bytes in use."""
        ((total,),) = self._execute("SELECT coalesce(sum(bytes), 0) FROM entries")
        return int(total)

    def _fill(self, digest: str, path: Path, fill: Callable[[Path], object]) -> None:
        if not self._partial.path.is_dir():  # somebody has cleared the cache
            self._make_directories()
            self._partial = OwnedDirectory(self.root / "partial")
        unfinished = Path(tempfile.mkdtemp(dir=self._partial.path))
        try:
            fill(unfinished)
            # Counted before it is there: others that come at the same time make room for it too.
            self._execute(f"INSERT OR REPLACE INTO entries VALUES (?, ?, {_NEXT})", digest, _allocated(unfinished))
            self._make_room()
            shutil.rmtree(path, ignore_errors=True)  # what a killed process left
            unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _touch(self, digest: str) -> bool:
        rows = self._execute(f"UPDATE entries SET used = {_NEXT} WHERE name = ? RETURNING name", digest)
        return bool(rows) and (self.root / "entries" / digest).is_dir()

    def _make_room(self) -> None:
        excess = self.size - self.limit
        if excess <= 0:
            return
        for digest, size in self._execute("SELECT name, bytes FROM entries ORDER BY used"):
            if excess <= 0:
                return
            with contextlib.suppress(Timeout), self._lock_of(digest, timeout=0):  # an entry in use stays
                self._remove(digest)
                excess -= size

    def _remove(self, digest: str) -> None:
        self._execute("DELETE FROM entries WHERE name = ?", digest)
        shutil.rmtree(self.root / "entries" / digest, ignore_errors=True)

    def _make_directories(self) -> None:
        private_directory(self.root)
        for name in ("entries", "partial", "locks"):
            private_directory(self.root / name)
        with contextlib.suppress(FileExistsError):  # SQLite would let the umask say who may write to it
            os.close(os.open(self.root / _INDEX, os.O_CREAT | os.O_EXCL, 0o600))
        check_private(self.root / _INDEX)

    def _clean(self) -> None:
        """Take away what dead processes left behind."""
        sweep(self.root / "partial")
        counted = {str(digest) for (digest,) in self._execute("SELECT name FROM entries")}
        there = {path.name for path in (self.root / "entries").iterdir()}
        for digest in counted ^ there:
            with contextlib.suppress(Timeout), self._lock_of(digest, timeout=0):  # what is being written stays
                path = self.root / "entries" / digest
                if not path.is_dir():
                    self._execute("DELETE FROM entries WHERE name = ?", digest)
                elif not self._execute("SELECT 1 FROM entries WHERE name = ?", digest):
                    shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _held(self, digest: str) -> Iterator[None]:
        lock = self._lock_of(digest, _LONGEST_LOCK)
        try:
            lock.acquire()
        except Timeout:
            raise ChildUnavailable(
                f"another process has held {lock.lock_file} for {_LONGEST_LOCK:.0f} s; end it, or clear the cache"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _lock_of(self, digest: str, timeout: float) -> FileLock:
        return FileLock(check_private(self.root / "locks" / f"{digest[:2]}.lock"), timeout=timeout, mode=0o600)

    def _execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._executed(statement, *values)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not _GONE.search(str(error)):
                raise  # the disk is full, or another process has held the index for a minute
            if not isinstance(error, sqlite3.OperationalError):  # no index can be read from the file
                (self.root / _INDEX).unlink(missing_ok=True)
            self._make_directories()
            self._executed(_TABLE)  # once: where it fails again, nothing here would help
            self._clean()
            return self._executed(statement, *values)

    @not_during_fork()
    def _executed(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.root / _INDEX, timeout=60)) as connection, connection:
            connection.execute("PRAGMA synchronous=OFF")  # a lost index costs downloads, never answers
            return connection.execute(statement, values).fetchall()


def _age(path: Path) -> float:
    """Seconds since a directory was made; negative where the clock was set back meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return math.inf


def _allocated(directory: Path) -> int:
    return sum(_bytes_on_disk(path.stat()) for path in [directory, *directory.rglob("*")])


def _bytes_on_disk(entry: os.stat_result) -> int:
    return entry.st_blocks * 512 if hasattr(entry, "st_blocks") else entry.st_size  # Windows has the size alone


_cache: DiskCache | None = None


def _forget() -> None:
    global _cache
    _cache = None


_lock = ForkLock(_forget)


def process_disk_cache() -> DiskCache:
    """Return the cache of this process: METAMODEL_DISK_CACHE, with at most METAMODEL_DISK_CACHE_MB (2048) megabytes."""
    global _cache
    with _lock:
        if _cache is None:
            directory, limit = cache_directory(), limit_in_bytes(_LIMIT_VARIABLE, _DEFAULT_MB)
            try:
                _cache = DiskCache(directory, limit)
            except (OSError, sqlite3.Error) as error:
                raise InputError(
                    f"Children cannot be kept in {directory} ({getattr(error, 'strerror', None) or error}). "
                    f"Set {_DIRECTORY_VARIABLE} to a directory of this machine that can be written."
                ) from error
        return _cache


def cache_directory() -> Path:
    """Name the directory that the processes of this user share: METAMODEL_DISK_CACHE, or one in the user's cache."""
    named = os.environ.get(_DIRECTORY_VARIABLE)
    if named:
        return Path(named)
    return user_cache() / "children"
