"""Read single rows of finished shards: proven one by one, from the very file that the manifest speaks of.

A reader opens its file once a thread, and again after a fork. Each time it checks that this is the shard that the
manifest names, because another bundle may stand in its place by then; and after each row, that nobody wrote to the file
meanwhile.
"""

import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metamodel.bundle.array_files import last_write
from metamodel.bundle.compression import Decompressor
from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.shards import CHILDREN, COLUMNS, DICTIONARY, LARGEST_CHILD, SEAL, ShardRow, StoredFacts, proof_of
from metamodel.exceptions import CorruptBundle

__all__ = ["ShardReader", "open_shards"]

# By its number: else SQLite hands out the key that stands in the index, not the one that stands beside the child.
_BY_KEY = f"SELECT {COLUMNS} FROM children WHERE rowid = (SELECT rowid FROM children WHERE key = ?)"

_TABLES = {("children", CHILDREN), ("seal", SEAL), ("sqlite_autoindex_children_1", None)}

_RESTORE = "Restore the bundle from the tracking server, or train again."


def open_shards(directory: Path, files: Mapping[str, FileEntry], folder: str) -> list["ShardReader"]:
    """Readers of the shards in one folder of a finished bundle; none of them is opened yet."""
    return [
        ShardReader(directory / name, entry)
        for name, entry in sorted(files.items())
        if name.startswith(f"{folder}/") and name.endswith(".sqlite")
    ]


class _Connection:
    """One thread's view of a shard; closes itself when its thread ends, or its reader is let go.

    It has a connection, and is none: SQLite's own and its cache of statements hold each other, and so would stay open
    until somebody looks for garbage, which on Python 3.13 may be hundreds of descriptors later.
    """

    descriptor = -1
    written: tuple[int, int]
    decompressor: Decompressor | None

    def __init__(self, path: Path) -> None:
        self.pid = os.getpid()
        uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        # Used by one thread, but closed by whichever drops the reader.
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        self.written = last_write(self.descriptor)
        self.decompressor = _decompressor(self._connection)

    def execute(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Ask the shard."""
        return self._connection.execute(query, values)

    def __del__(self) -> None:
        if (connection := getattr(self, "_connection", None)) is not None:  # None where it could not be opened
            connection.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class ShardReader:
    """Reads single rows of a finished shard; safe to share between threads.

    Parameters
    ----------
    path
        The shard.
    entry
        What the manifest says of it. None for a shard that is in no bundle yet.
    """

    def __init__(self, path: Path, entry: FileEntry | None = None) -> None:
        self.path = path
        self._entry = entry
        self._local = threading.local()

    def read(self, key: str) -> ShardRow | None:
        """Read one group, or None where the shard does not hold it.

        Raises
        ------
        CorruptBundle
            The file is missing or another one, or this group's bytes are not those that were written.
        """
        connection = self._connection()
        try:
            stored = connection.execute(_BY_KEY, (key,)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second where a message quotes damaged bytes
            raise CorruptBundle(
                f"Shard {self.path.name} cannot be read for group {key}: {error}. Restore the bundle."
            ) from error
        if last_write(connection.descriptor) != connection.written:
            raise CorruptBundle(f"Shard {self.path.name} was changed after it was opened. Load the model again.")
        if stored is None:
            return None
        if stored[0] != key:
            raise CorruptBundle(
                f"The index of shard {self.path.name} is damaged: it leads from group {key} to another one. {_RESTORE}"
            )
        row = _proven(stored, connection.decompressor)
        if row is None:
            raise CorruptBundle(
                f"The child of group {key} in shard {self.path.name} is damaged: its sha256 is not the recorded one. "
                "Restore the bundle from the tracking server, or train this group again."
            )
        return row

    def keys(self, status: str | None = "fitted") -> Iterator[str]:
        """Yield the encoded keys of all groups of one status (None: of any), in file order."""
        query = "SELECT key FROM children WHERE :status IS NULL OR status = :status ORDER BY rowid"
        for (key,) in self._connection().execute(query, {"status": status}):
            yield key

    def rows(self, status: str | None = None, keys: Iterable[str] | None = None) -> Iterator[ShardRow]:
        """Yield the rows of all groups of one status (None: of any), in file order, or of `keys`; raises as `read`."""
        for key in self.keys(status) if keys is None else keys:
            row = self.read(key)
            if row is None:
                raise CorruptBundle(
                    f"The index of shard {self.path.name} is damaged: it does not find group {key}, which is there. "
                    f"{_RESTORE}"
                )
            yield row

    def fitted(self) -> Iterator[ShardRow]:
        """Yield the rows of all groups with a child, in file order; raises as `read` does."""
        return self.rows("fitted")

    def scan(self) -> Iterator[tuple[str, StoredFacts | None]]:
        """Yield every key with the facts of its row, in file order, each proven; None where the row is damaged.

        Reads the file once from end to end, children included, and hands out none of them. A row whose key is damaged
        itself is left out, as one that is not there.
        """
        connection = self._connection()
        with suppress(sqlite3.Error, UnicodeDecodeError):
            for stored in connection.execute(f"SELECT {COLUMNS} FROM children ORDER BY rowid"):
                if isinstance(stored[0], str):
                    facts = StoredFacts(*stored[:7])
                    yield (
                        facts.key,
                        facts if _is_intact(facts, stored[7], stored[8], connection.decompressor)[0] else None,
                    )

    def is_whole(self) -> bool:
        """Whether the file is what was written, to the last bit, and so every row; reads it once."""
        return self._entry is not None and self._entry.describes(self.path)

    def sizes(self) -> Iterator[tuple[str, int, int]]:
        """Yield every key with the bytes of its child and those of memory, in file order, as far as the file is whole.

        Raises
        ------
        CorruptBundle
            The file is missing or another one, or was written to since it was opened.
        """
        connection = self._connection()
        yield from connection.execute("SELECT key, size, resident FROM children ORDER BY rowid")
        if last_write(connection.descriptor) != connection.written:
            raise CorruptBundle(f"Shard {self.path.name} was changed after it was opened. Load the model again.")

    def damaged_keys(self) -> Iterator[str]:
        """Yield the encoded keys of all groups whose bytes are not what was written; none where no key can be read."""
        with suppress(CorruptBundle, sqlite3.Error):
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
        return self._connection().decompressor is not None

    def _connection(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.pid != os.getpid():
            connection = self._local.connection = self._open()
        return connection

    def _open(self) -> _Connection:
        self._check_file()
        try:
            connection = _Connection(self.path)
            identity = connection.execute("SELECT identity FROM seal").fetchone()
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            raise CorruptBundle(f"Shard {self.path.name} cannot be opened: {error}. Restore the bundle.") from error
        if self._entry is not None and identity != (self._entry.identity,):
            raise CorruptBundle(
                f"Shard {self.path.name} is not the one that the manifest names. Load the model again, or restore it."
            )
        return connection

    def _check_file(self) -> None:
        try:
            status = self.path.stat()
        except OSError as error:
            raise CorruptBundle(
                f"Shard {self.path.name} is unreadable ({error.strerror}). Restore the bundle from the tracking server."
            ) from error
        if not stat.S_ISREG(status.st_mode):  # a pipe might never be opened
            raise CorruptBundle(f"Shard {self.path.name} is no file. Restore the bundle from the tracking server.")
        if self._entry is not None and status.st_size != self._entry.size:
            raise CorruptBundle(
                f"Shard {self.path.name} has {status.st_size:,} bytes; {self._entry.size:,} were written. "
                "Restore the bundle."
            )


def _proven(stored: tuple[Any, ...], decompressor: Decompressor | None) -> ShardRow | None:
    """Make a row of what is stored; None where it is not what was written."""
    facts = StoredFacts(*stored[:7])
    intact, child = _is_intact(facts, stored[7], stored[8], decompressor)
    key, level, status, reason, resident, _, sha256 = facts
    return ShardRow(key, level, status, reason, child, resident, sha256) if intact else None


def _is_intact(
    facts: StoredFacts, proof: Any, child: Any, decompressor: Decompressor | None
) -> tuple[bool, bytes | None]:
    """Whether a row is what was written; and the bytes of its child."""
    try:
        if proof_of(facts) != proof:  # a damaged header of a record turns bytes into text, numbers or nothing
            return False, None
    except TypeError:
        return False, None
    if child is None:
        return not facts.sha256, None
    if not isinstance(child, bytes) or not 0 <= facts.size <= LARGEST_CHILD:
        return False, None
    if decompressor is not None:
        child = decompressor.decompress(child, facts.size)
    return len(child) == facts.size and hashlib.sha256(child).hexdigest() == facts.sha256, child


def _decompressor(connection: sqlite3.Connection) -> Decompressor | None:
    """Make what brings compressed children back; raise where the file holds other tables than a shard."""
    connection.execute("PRAGMA trusted_schema=OFF")
    tables = set(connection.execute("SELECT name, sql FROM sqlite_master LIMIT 9"))
    if tables == _TABLES:
        return None
    if tables != {*_TABLES, ("dictionary", DICTIONARY)}:
        raise sqlite3.DatabaseError("it holds other tables than a shard")
    stored = connection.execute("SELECT bytes FROM dictionary").fetchone()
    if stored is None or not isinstance(stored[0], bytes):
        raise sqlite3.DatabaseError("its dictionary is damaged")
    return Decompressor(stored[0])
