"""Write shards, and change those that no one reads yet: leave groups or children out, compress, seal."""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Self

from metamodel.bundle.compression import Compressor, train_dictionary
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shards import CHILDREN, COLUMNS, DICTIONARY, SEAL, ShardRow, identity_of

__all__ = ["ShardWriter", "compress_shard", "drop_children", "forget_groups", "seal_shard"]

# What a dictionary is trained and tried on.
_SAMPLED_CHILDREN = 1000

_SAMPLED_BYTES = 32 * 2**20

_INSERT = "INSERT INTO children VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


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
    >>> ShardReader(path).read('["FR"]').child
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
        for statement in (CHILDREN, SEAL):
            self._connection.execute(statement)
        if dictionary is not None:
            self._connection.execute(DICTIONARY)
            self._connection.execute("INSERT INTO dictionary VALUES (?)", (dictionary,))

    def add(self, row: ShardRow) -> None:
        """Append a group."""
        stored = row.child
        if self._compressor is not None and stored is not None:
            stored = self._compressor.compress(stored)
        facts = (row.key, row.level, row.status, row.reason, row.resident, row.size, row.sha256, row.proof, stored)
        self._connection.execute(_INSERT, facts)

    def add_all_of(self, path: Path) -> None:
        """Append every group of another shard."""
        source = ShardReader(path)
        if source.compressed or self._compressor is not None:
            for row in source.rows():
                self.add(row)
            return
        self._connection.commit()
        self._connection.execute("ATTACH ? AS other", (str(path),))
        self._connection.execute("INSERT INTO children SELECT * FROM other.children ORDER BY rowid")
        self._connection.commit()
        self._connection.execute("DETACH other")

    def compress_all_of(self, path: Path) -> None:
        """Append every group of a shard that is not compressed; what its rows say and prove stays as it is."""
        assert self._compressor is not None
        compress = self._compressor.compress
        with closing(sqlite3.connect(path)) as source:
            stored = source.execute(f"SELECT {COLUMNS} FROM children ORDER BY rowid")
            rows = ((*facts, None if child is None else compress(child)) for *facts, child in stored)
            self._connection.executemany(_INSERT, rows)

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


def drop_children(path: Path, reasons: Mapping[str, str], status: str = "skipped") -> None:
    """Leave out some groups' children of a shard that no one reads yet.

    Parameters
    ----------
    path
        The shard.
    reasons
        Encoded key → reason; groups of other shards among them are ignored.
    status
        What becomes of them.
    """
    with closing(sqlite3.connect(path)) as connection:
        levels = {key: level for key, level in connection.execute("SELECT key, level FROM children") if key in reasons}
        rows = [ShardRow(key, level, status, reasons[key]) for key, level in levels.items()]
        connection.executemany(
            "UPDATE children SET status = ?, reason = ?, resident = 0, size = 0, sha256 = '', proof = ?, child = NULL "
            "WHERE key = ?",
            [(row.status, row.reason, row.proof, row.key) for row in rows],
        )
        connection.commit()
        connection.execute("VACUUM")


def compress_shard(path: Path) -> bool:
    """Compress the children of a finished shard where that is worthwhile; returns whether it was."""
    reader = ShardReader(path)
    dictionary = None if reader.compressed else train_dictionary(_sample(reader))
    if dictionary is None:
        return False
    with ShardWriter(path, dictionary) as writer:  # takes the place of the other when it is complete
        writer.compress_all_of(path)
    return True


def _sample(reader: ShardReader) -> list[bytes]:
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


def seal_shard(path: Path) -> str:
    """Write a shard's identity into it, and return it; a shard that is sealed already stays as it is."""
    with closing(sqlite3.connect(path)) as connection:
        sealed = connection.execute("SELECT identity FROM seal").fetchone()
        if sealed is not None:  # perhaps under a second name in a bundle that is being served
            return str(sealed[0])
        identity = identity_of(proof for (proof,) in connection.execute("SELECT proof FROM children ORDER BY rowid"))
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("INSERT INTO seal VALUES (?)", (identity,))
        connection.commit()
    return identity
