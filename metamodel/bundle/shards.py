"""Shards: SQLite files with one row for every group, fitted or not.

An ordinary rowid table with a unique text key and 32 KB pages, read through a memory map
(docs/decisions/0001-storage.md has the measurements). A reader opens its file once a thread, and again after a fork.
A finished shard may be compressed: its table `dictionary` then holds what its children share. Digests are those of the
children's own bytes, so that a child is the same child however it is stored.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from metamodel.bundle.compression import Compressor, Decompressor, train_dictionary
from metamodel.exceptions import CorruptBundle

__all__ = ["ShardReader", "ShardRow", "ShardWriter", "compress_shard", "drop_children", "forget_groups"]

_SCHEMA = """
CREATE TABLE children (
    key TEXT NOT NULL UNIQUE, level INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    sha256 TEXT, resident INTEGER, child BLOB
)
"""

_MMAP_BYTES = 2**31

# What a dictionary is trained and tried on.
_SAMPLED_CHILDREN = 1000

_SAMPLED_BYTES = 32 * 2**20

# By its number: else SQLite hands out the key that stands in the index, not the one that stands beside the child.
_BY_KEY = "SELECT * FROM children WHERE rowid = (SELECT rowid FROM children WHERE key = ?)"


@dataclass(frozen=True)
class ShardRow:
    """What a shard holds of one group.

    Parameters
    ----------
    key
        Encoded group key.
    level
        Number of group columns in the key.
    status, reason
        As in the ledger.
    child
        Serialized child, or None where there is none.
    resident
        Estimated bytes of memory that the loaded child takes.
    sha256
        Digest of `child`, "" without one.
    """

    key: str
    level: int
    status: str
    reason: str
    child: bytes | None = None
    resident: int = 0
    sha256: str = ""

    @classmethod
    def of_child(cls, key: str, level: int, reason: str, child: bytes, resident: int) -> Self:
        """Row of a fitted child, with its digest."""
        return cls(key, level, "fitted", reason, child, resident, hashlib.sha256(child).hexdigest())


class ShardWriter:
    """Writes one shard under a temporary name; it appears under its own name when it is complete.

    Parameters
    ----------
    path
        Where the shard shall stand.
    dictionary
        From `train_dictionary`, to compress the children with; None to store them as they are.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "00000.sqlite"
    >>> with ShardWriter(path) as shard:
    ...     shard.add(ShardRow.of_child('["FR"]', 1, "", b"model", resident=12))
    >>> ShardReader(path, path.stat().st_size).read('["FR"]').child
    b'model'
    """

    def __init__(self, path: Path, dictionary: bytes | None = None) -> None:
        self.path = path
        self._compressor = None if dictionary is None else Compressor(dictionary)
        self._unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
        self._unfinished.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._unfinished)
        # No journal: a file that was not finished is thrown away, never repaired.
        for pragma in ("page_size=32768", "journal_mode=OFF", "synchronous=OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(_SCHEMA)
        if dictionary is not None:
            self._connection.execute("CREATE TABLE dictionary (bytes BLOB NOT NULL)")
            self._connection.execute("INSERT INTO dictionary VALUES (?)", (dictionary,))

    def add(self, row: ShardRow) -> None:
        """Append a group."""
        child = row.child
        if self._compressor is not None and child is not None:
            child = self._compressor.compress(child)
        values = (row.key, row.level, row.status, row.reason, row.sha256, row.resident, child)
        self._connection.execute("INSERT INTO children VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def add_all_of(self, path: Path) -> None:
        """Append every group of another shard."""
        source = ShardReader(path, path.stat().st_size)
        if source.compressed or self._compressor is not None:
            for row in source.rows():
                self.add(row)
            return
        self._connection.commit()
        self._connection.execute("ATTACH ? AS other", (str(path),))
        self._connection.execute("INSERT INTO children SELECT * FROM other.children ORDER BY rowid")
        self._connection.commit()
        self._connection.execute("DETACH other")

    def forget(self, keys: Iterable[str]) -> None:
        """Take groups out again; of keys that are not there nothing happens."""
        self._connection.executemany("DELETE FROM children WHERE key = ?", [(key,) for key in keys])

    @property
    def size(self) -> int:
        """Bytes written so far."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        return int(pages) * 32768

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            self._connection.commit()
        self._connection.close()
        if error is None:
            self._unfinished.rename(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)


def forget_groups(path: Path, keys: Iterable[str]) -> None:
    """Take groups out of a shard that no one reads yet; of keys that are not there nothing happens."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("DELETE FROM children WHERE key = ?", [(key,) for key in keys])
        connection.commit()


def compress_shard(path: Path) -> bool:
    """Compress the children of a finished shard where that is worthwhile; returns whether it was."""
    reader = ShardReader(path, path.stat().st_size)
    dictionary = None if reader.compressed else train_dictionary(_sample(reader))
    if dictionary is None:
        return False
    with ShardWriter(path, dictionary) as writer:  # takes the place of the other when it is complete
        for row in reader.rows():
            writer.add(row)
    return True


def _sample(reader: "ShardReader") -> list[bytes]:
    """Children from all over a shard."""
    keys = list(reader.keys())
    sample: list[bytes] = []
    total = 0
    for key in keys[:: max(1, len(keys) // _SAMPLED_CHILDREN)]:
        row = reader.read(key)
        child = (row.child if row is not None else None) or b""
        total += len(child)
        if total > _SAMPLED_BYTES:
            break
        sample.append(child)
    return sample


def _is_intact(row: ShardRow) -> bool:
    # A damaged header of a record turns bytes into text, numbers or nothing.
    if row.child is None:
        return row.status in ("skipped", "failed") and isinstance(row.reason, str)
    if not isinstance(row.child, bytes) or not isinstance(row.resident, int):
        return False
    return hashlib.sha256(row.child).hexdigest() == row.sha256


def drop_children(path: Path, reasons: Mapping[str, str]) -> None:
    """Leave out some groups' children of a shard that no one reads yet.

    Parameters
    ----------
    path
        The shard.
    reasons
        Encoded key → reason; groups of other shards among them are ignored.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "UPDATE children SET status = 'skipped', reason = ?, sha256 = '', resident = 0, child = NULL WHERE key = ?",
            [(reason, key) for key, reason in reasons.items()],
        )
        connection.commit()
        connection.execute("VACUUM")


class _Connection(sqlite3.Connection):
    """Closes itself when its thread ends."""

    def __del__(self) -> None:
        self.close()


class ShardReader:
    """Reads single rows of a finished shard; safe to share between threads.

    Parameters
    ----------
    path
        The shard.
    size
        Bytes it must have. A truncated file is never mapped: reading behind its end would kill the process.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size
        self._local = threading.local()

    def read(self, key: str) -> ShardRow | None:
        """Read one group, or None where the shard does not hold it.

        Raises
        ------
        CorruptBundle
            The file is missing, has another size, or this group's bytes are not those that were written.
        """
        try:
            found = self._connection().execute(_BY_KEY, (key,)).fetchone()
            decompressor: Decompressor | None = self._local.decompressor
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the second where a message quotes damaged bytes
            raise CorruptBundle(
                f"Shard {self.path.name} cannot be read for group {key}: {error}. Restore the bundle."
            ) from error
        if found is None:
            return None
        if found[0] != key:
            raise CorruptBundle(
                f"The index of shard {self.path.name} is damaged: it leads from group {key} to another one. "
                "Restore the bundle from the tracking server, or train again."
            )
        child = found[6]
        if decompressor is not None and isinstance(child, bytes):
            child = decompressor.decompress(child)
        row = ShardRow(found[0], found[1], found[2], found[3], child, found[5], found[4])
        if not _is_intact(row):
            raise CorruptBundle(
                f"The child of group {key} in shard {self.path.name} is damaged: its sha256 is not the recorded one. "
                "Restore the bundle from the tracking server, or train this group again."
            )
        return row

    def keys(self, status: str | None = "fitted") -> Iterator[str]:
        """Yield the encoded keys of all groups of one status (None: of any), in file order."""
        query = "SELECT key FROM children WHERE ?1 IS NULL OR status = ?1 ORDER BY rowid"
        for (key,) in self._connection().execute(query, (status,)):
            yield key

    def rows(self, status: str | None = None, keys: Iterable[str] | None = None) -> Iterator[ShardRow]:
        """Yield the rows of all groups of one status (None: of any), in file order, or of `keys`; raises as `read`."""
        for key in self.keys(status) if keys is None else keys:
            row = self.read(key)
            if row is None:
                raise CorruptBundle(
                    f"The index of shard {self.path.name} is damaged: it does not find group {key}, which is there. "
                    "Restore the bundle from the tracking server, or train again."
                )
            yield row

    def fitted(self) -> Iterator[ShardRow]:
        """Yield the rows of all groups with a child, in file order; raises as `read` does."""
        return self.rows("fitted")

    def damaged_keys(self) -> Iterator[str]:
        """Yield the encoded keys of all groups whose bytes are not what was written; none where no key can be read."""
        with suppress(CorruptBundle, sqlite3.DatabaseError):
            for key in list(self.keys(None)):
                try:
                    intact = self.read(key) is not None
                except CorruptBundle:
                    intact = False
                if not intact:
                    yield key

    @property
    def compressed(self) -> bool:
        """Whether its children are compressed."""
        self._connection()
        return self._local.decompressor is not None

    def _connection(self) -> sqlite3.Connection:
        pid = os.getpid()
        if getattr(self._local, "pid", None) != pid:
            self._check_size()
            uri = f"file:{quote(str(self.path.absolute()))}?mode=ro&immutable=1"
            self._local.connection = sqlite3.connect(
                uri, uri=True, factory=_Connection, check_same_thread=False
            )  # used by one thread, but closed by whichever drops the reader
            self._local.connection.execute(f"PRAGMA mmap_size={_MMAP_BYTES}")
            self._local.decompressor = _decompressor(self._local.connection)
            self._local.pid = pid
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _check_size(self) -> None:
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise CorruptBundle(
                f"Shard {self.path.name} is unreadable ({error.strerror}). Restore the bundle from the tracking server."
            ) from error
        if size != self._size:
            raise CorruptBundle(
                f"Shard {self.path.name} has {size:,} bytes; {self._size:,} were written. Restore the bundle."
            )


def _decompressor(connection: sqlite3.Connection) -> Decompressor | None:
    if connection.execute("SELECT name FROM sqlite_master WHERE name = 'dictionary'").fetchone() is None:
        return None
    found = connection.execute("SELECT bytes FROM dictionary").fetchone()
    if found is None or not isinstance(found[0], bytes):
        raise sqlite3.DatabaseError("its dictionary is damaged")
    return Decompressor(found[0])
