"""What binds a shard's rows to what was written."""

import sqlite3
from contextlib import closing

import pytest

from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter, seal_shard
from metamodel.bundle.shards import ShardRow
from metamodel.exceptions import CorruptBundle

BLOBS = {f'["g{i}"]': bytes([i]) * (10 if i % 2 else 70_000) for i in range(6)}


pytestmark = pytest.mark.tableless


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "00000.sqlite"
    with ShardWriter(path) as writer:
        for key, blob in BLOBS.items():
            writer.add(ShardRow.of_child(key, 1, "", blob, resident=len(blob) * 2))
        writer.add(ShardRow('["small"]', 1, "skipped", "min_rows: 1 usable row, 2 needed"))
        writer.add(ShardRow('["bad"]', 1, "failed", "error"))
    return path


def reader(path):
    return ShardReader(path)


def sealed(path):
    """What a manifest says of a shard."""
    return FileEntry.of(path, seal_shard(path))


def outcome(opened, key):
    """What a reader says of one group: its bytes, its status without a child, None, or "corrupt"."""
    try:
        row = opened.read(key)
    except CorruptBundle:
        return "corrupt"
    return None if row is None else row.child or row.status


def change(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_shard_with_other_rows_is_not_the_one_that_the_manifest_names(tmp_path, shard):
    other = tmp_path / "other.sqlite"
    with ShardWriter(other) as writer:
        for key, blob in BLOBS.items():
            writer.add(ShardRow.of_child(key, 1, "", blob[::-1] if key != '["g1"]' else blob[1:] + b"x", len(blob) * 2))
        writer.add(ShardRow('["small"]', 1, "skipped", "min_rows: 1 usable row, 2 needed"))
        writer.add(ShardRow('["bad"]', 1, "failed", "error"))
    entry, stranger = sealed(shard), sealed(other)
    assert entry.size == stranger.size
    other.rename(shard)
    with pytest.raises(CorruptBundle, match=r"00000.sqlite is not the one that the manifest names. Load the model"):
        ShardReader(shard, entry).read('["g1"]')


def test_keys_that_change_places_are_found(shard):
    change(
        shard,
        """UPDATE children SET key = 'x' WHERE key = '["g1"]'""",
        """UPDATE children SET key = '["g1"]' WHERE key = '["g3"]'""",
        """UPDATE children SET key = '["g3"]' WHERE key = 'x'""",
    )
    opened = reader(shard)
    assert [outcome(opened, key) for key in ('["g1"]', '["g3"]', '["g5"]')] == ["corrupt", "corrupt", BLOBS['["g5"]']]


@pytest.mark.parametrize("column", ["level = 0", "status = 'skipped'", "reason = 'x'", "resident = 1", "child = NULL"])
def test_every_word_of_a_row_is_proven(shard, column):
    change(shard, f"""UPDATE children SET {column} WHERE key = '["g1"]'""")
    assert outcome(reader(shard), '["g1"]') == "corrupt"
