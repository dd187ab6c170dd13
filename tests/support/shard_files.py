"""A shard's content, what a reader says of it, and how it is changed behind its back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import seal_shard
from metamodel.exceptions import CorruptBundle

BLOBS = {f'["g{i}"]': bytes([i]) * (10 if i % 2 else 70_000) for i in range(6)}


def shard_of(bundle: Path) -> Path:
    """The only shard of a small bundle."""
    return bundle / "shards" / "00000.sqlite"


def blob_of(bundle: Path, key: str) -> bytes:
    """The bytes of a group's child."""
    row = ShardReader(shard_of(bundle)).read(key)
    assert row is not None
    assert row.child is not None
    return row.child


def sealed(path: Path) -> FileEntry:
    """What a manifest says of a shard."""
    return FileEntry.of(path, seal_shard(path))


def outcome(opened: ShardReader, key: str) -> bytes | str | None:
    """What a reader says of one group: its bytes, its status without a child, None, or "corrupt"."""
    try:
        row = opened.read(key)
    except CorruptBundle:
        return "corrupt"
    return None if row is None else row.child or row.status


def change(path: Path, *statements: str) -> None:
    """Change a shard as SQLite does."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
