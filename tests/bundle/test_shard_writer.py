"""Writing shards: complete or not there, merged in order, compressed where it is worthwhile."""

import random

import pytest
from shard_files import BLOBS

from metamodel.bundle.compression import train_dictionary
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter, compress_shard, seal_shard
from metamodel.bundle.shards import ShardRow

pytestmark = pytest.mark.tableless


def test_a_shard_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "s.sqlite"
    with ShardWriter(path):
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]


def test_an_unfinished_shard_leaves_nothing(tmp_path):
    def write():
        with ShardWriter(tmp_path / "s.sqlite"):
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_shards_are_merged_in_order(tmp_path, shard):
    with ShardWriter(tmp_path / "all.sqlite") as writer:
        writer.add(ShardRow.of_child("[]", 0, "", b"global", resident=1))
        writer.add_all_of(shard)
    assert list(ShardReader(tmp_path / "all.sqlite").keys()) == ["[]", *BLOBS]


ALIKE = {f'["c{i}"]': b"the same pickle for every child, " * 20 + random.Random(i).randbytes(100) for i in range(80)}


@pytest.fixture
def alike(tmp_path):
    path = tmp_path / "alike.sqlite"
    with ShardWriter(path) as writer:
        for key, blob in ALIKE.items():
            writer.add(ShardRow.of_child(key, 1, "", blob, resident=len(blob)))
        writer.add(ShardRow('["worse"]', 1, "failed", "error"))
    return path


def test_children_that_are_alike_are_compressed_and_come_back(alike):
    before, rows = alike.stat().st_size, list(ShardReader(alike).rows())
    assert compress_shard(alike)
    assert (list(ShardReader(alike).rows()), alike.stat().st_size < before) == (rows, True)


def test_a_compressed_shard_is_left_as_it_is(alike):
    compress_shard(alike)
    assert not compress_shard(alike)


@pytest.mark.parametrize("blobs", [[b"few"] * 10, [random.Random(i).randbytes(500) for i in range(80)]])
def test_children_that_do_not_shrink_are_stored_as_they_are(tmp_path, blobs):
    path = tmp_path / "s.sqlite"
    with ShardWriter(path) as writer:
        for i, blob in enumerate(blobs):
            writer.add(ShardRow.of_child(f"[{i}]", 1, "", blob, resident=1))
    assert (compress_shard(path), ShardReader(path).compressed) == (False, False)


def test_a_compressed_shard_is_merged_into_any_other(tmp_path, alike, shard):
    compress_shard(alike)
    for name, dictionary in (("plain", None), ("compressed", train_dictionary(list(ALIKE.values())))):
        with ShardWriter(tmp_path / name, dictionary) as writer:
            writer.add_all_of(alike)
            writer.add_all_of(shard)
        assert [row.child for row in ShardReader(tmp_path / name).fitted()] == [*ALIKE.values(), *BLOBS.values()]


def test_equal_rows_give_one_identity_and_sealing_again_writes_nothing(tmp_path, shard):
    with ShardWriter(tmp_path / "copy.sqlite") as writer:
        writer.add_all_of(shard)
    identity = seal_shard(shard)
    before = (shard.read_bytes(), shard.stat().st_mtime_ns)
    assert (seal_shard(tmp_path / "copy.sqlite"), seal_shard(shard)) == (identity, identity)
    assert (shard.read_bytes(), shard.stat().st_mtime_ns) == before
