"""Shards: what was written is read, and damaged bytes are told apart from missing groups."""

import gc
import multiprocessing
import os
import random
import sqlite3
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from shard_files import BLOBS, change, outcome, sealed

from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter, compress_shard, seal_shard
from metamodel.bundle.shards import ShardRow
from metamodel.exceptions import CorruptBundle
from metamodel.tables.keys import encode_key

pytestmark = pytest.mark.tableless


def damage(path, position, flip=0xFF):
    content = bytearray(path.read_bytes())
    content[position] ^= flip
    path.write_bytes(content)


def test_every_group_comes_back_with_its_status(shard):
    opened = ShardReader(shard)
    expected = [*BLOBS.values(), "skipped", "failed", None]
    assert [outcome(opened, key) for key in (*BLOBS, '["small"]', '["bad"]', '["unknown"]')] == expected


def test_keys_are_listed_by_status_in_file_order(shard):
    assert (list(ShardReader(shard).keys()), list(ShardReader(shard).keys("failed"))) == ([*BLOBS], ['["bad"]'])


def test_a_whole_file_says_all_that_a_scan_says_and_one_flipped_byte_makes_it_none(shard):
    opened = ShardReader(shard, FileEntry.of(shard, seal_shard(shard)))
    facts = [(key, row.size, row.resident) for key, row in opened.scan()]
    assert (opened.is_whole(), list(opened.sizes())) == (True, facts)
    assert len(facts) == len(BLOBS) + 2
    damage(shard, shard.stat().st_size // 2)
    assert not opened.is_whole()
    with pytest.raises(CorruptBundle, match="was changed after it was opened"):
        list(opened.sizes())


def test_a_shard_of_no_bundle_is_not_known_to_be_whole(shard):
    assert not ShardReader(shard).is_whole()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=8))
def test_any_key_is_found_again(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("shard") / "s.sqlite"
    keys = [encode_key((text, i)) for i, text in enumerate(texts)]
    with ShardWriter(path) as writer:
        for key in keys:
            writer.add(ShardRow.of_child(key, 2, "", key.encode(), resident=1))
    assert [ShardReader(path).read(key).child.decode() for key in keys] == keys


def test_a_damaged_child_is_named_and_no_other_suffers(shard):
    damage(shard, shard.read_bytes().index(BLOBS['["g2"]'][:500]) + 100)
    opened = ShardReader(shard)
    with pytest.raises(CorruptBundle, match=r'group \["g2"\] in shard 00000.sqlite is damaged: .* Restore the bundle'):
        opened.read('["g2"]')
    assert [outcome(opened, key) for key in BLOBS if key != '["g2"]'] == [b for k, b in BLOBS.items() if k != '["g2"]']


def test_no_flipped_byte_gives_a_wrong_child_or_another_error(shard):
    whole = shard.read_bytes()
    positions = random.Random(0).sample(range(len(whole)), 300)
    # Everything around the small records: page headers, record headers, keys.
    start = whole.index(b'["g1"]')
    for position in (*positions, *range(start - 60, start + 60), *range(100, 130)):
        shard.write_bytes(whole)
        damage(shard, position)
        opened = ShardReader(shard)
        for key, blob in BLOBS.items():
            assert outcome(opened, key) in (blob, "corrupt", None)
        assert outcome(opened, '["bad"]') in ("failed", "corrupt", None)


def test_no_flipped_bit_of_the_index_gives_another_groups_child(tmp_path):
    path, keys = tmp_path / "s.sqlite", [f"[{i}]" for i in range(10, 40)]
    with ShardWriter(path) as writer:
        for key in keys:
            writer.add(ShardRow.of_child(key, 1, "", key.encode(), resident=1))
    whole = path.read_bytes()
    page = whole.rindex(b"[10]") // 32768 * 32768  # the key stands in the table's page, and in the index's behind it
    said = set()
    for position in (i for i in range(page, page + 32768) if whole[i]):
        for bit in range(4):
            path.write_bytes(whole)
            damage(path, position, 1 << bit)
            opened = ShardReader(path)
            said |= {(key.encode() == answer) or answer for key in keys if (answer := outcome(opened, key))}
    assert said == {True, "corrupt"}


def test_a_group_that_the_index_does_not_find_is_never_left_out(shard):
    whole = shard.read_bytes()
    damage(shard, whole.rindex(b'["g1"]') + 2)
    with pytest.raises(CorruptBundle, match=r'does not find group \["g1"\], which is there. Restore the bundle'):
        list(ShardReader(shard).rows())
    assert '["g1"]' in set(ShardReader(shard).damaged_keys())


@pytest.mark.parametrize("keep", [0, 1, 100, 32768, 40_000, -1])
def test_a_truncated_shard_is_never_read(shard, keep):
    whole, entry = shard.read_bytes(), sealed(shard)
    shard.write_bytes(whole[:keep])
    with pytest.raises(CorruptBundle, match=rf"00000.sqlite has [\d,]+ bytes; {len(whole):,} were written. Restore"):
        ShardReader(shard, entry).read('["g1"]')


def test_a_missing_shard_is_corrupt(tmp_path):
    with pytest.raises(
        CorruptBundle, match=r"s.sqlite is unreadable \(No such file or directory\). Restore the bundle"
    ):
        ShardReader(tmp_path / "s.sqlite", FileEntry("", 10)).read('["g1"]')


def test_a_file_of_the_right_size_that_is_no_shard_is_corrupt(shard):
    entry = sealed(shard)
    shard.write_bytes(os.urandom(entry.size))
    with pytest.raises(
        CorruptBundle, match=r"00000.sqlite cannot be opened: file is not a database. Restore the bundle"
    ):
        ShardReader(shard, entry).read('["g1"]')


def test_the_path_may_hold_any_characters(tmp_path):
    folder = tmp_path / "50% off? #1 🦉"
    folder.mkdir()
    with ShardWriter(folder / "s.sqlite") as writer:
        writer.add(ShardRow.of_child("[1]", 1, "", b"x", resident=1))
    assert ShardReader(folder / "s.sqlite").read("[1]").child == b"x"


def test_a_shard_is_read_where_nothing_may_be_written(shard):
    shard.parent.chmod(0o500)
    shard.chmod(0o400)
    try:
        assert ShardReader(shard).read('["g1"]').child == BLOBS['["g1"]']
    finally:
        shard.parent.chmod(0o700)


def test_threads_share_a_reader(shard):
    opened = ShardReader(shard)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: outcome(opened, f'["g{i % 6}"]') == BLOBS[f'["g{i % 6}"]'], range(400)))
    assert all(found)


def test_a_reader_is_dropped_without_complaint_while_its_threads_live(shard):
    opened, read, release = [ShardReader(shard)], threading.Event(), threading.Event()

    def use():
        opened[0].read('["g1"]')
        read.set()
        release.wait(100)

    thread = threading.Thread(target=use)
    thread.start()
    read.wait(100)
    opened.clear()
    gc.collect()
    release.set()
    thread.join()
    assert opened == []  # and an error in a destructor would have failed this test


def _read_again(opened, results):
    results.put([outcome(opened, key) for key in BLOBS])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_on(shard):
    opened = ShardReader(shard)
    opened.read('["g1"]')
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_read_again, args=(opened, results))
    child.start()
    assert results.get(timeout=120) == [*BLOBS.values()]
    child.join()
    assert [outcome(opened, key) for key in BLOBS] == [*BLOBS.values()]


# --- compression
ALIKE = {f'["c{i}"]': b"the same pickle for every child, " * 20 + random.Random(i).randbytes(100) for i in range(80)}


@pytest.fixture
def alike(tmp_path):
    path = tmp_path / "alike.sqlite"
    with ShardWriter(path) as writer:
        for key, blob in ALIKE.items():
            writer.add(ShardRow.of_child(key, 1, "", blob, resident=len(blob)))
        writer.add(ShardRow('["worse"]', 1, "failed", "error"))
    return path


def test_no_flipped_byte_of_a_compressed_shard_gives_a_wrong_child_or_another_error(alike):
    compress_shard(alike)
    whole = alike.read_bytes()
    for position in random.Random(0).sample(range(len(whole)), 400):
        alike.write_bytes(whole)
        damage(alike, position)
        opened = ShardReader(alike)
        for key, blob in list(ALIKE.items())[::20]:
            assert outcome(opened, key) in (blob, "corrupt", None)


def test_threads_share_a_compressed_shard(alike):
    compress_shard(alike)
    opened = ShardReader(alike)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda key: outcome(opened, key) == ALIKE[key], [*ALIKE] * 20))


# --- what a shard is bound to


def test_a_view_in_place_of_the_table_is_refused_at_once(shard):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = "'k' AS key, 1 AS level, '' AS status, '' AS reason, 0 AS resident, 0 AS size, '' AS sha256, '' AS proof"
    change(
        shard,
        "ALTER TABLE children RENAME TO real",
        f"CREATE VIEW children AS {endless} SELECT {columns}, NULL AS child, i AS rowid FROM n WHERE i < 0",
    )
    with pytest.raises(CorruptBundle, match=r"cannot be opened: it holds other tables than a shard. Restore"):
        ShardReader(shard).read('["g1"]')


def test_a_small_child_that_opens_to_a_gigabyte_is_never_opened(alike):
    compress_shard(alike)
    bomb = zstandard.ZstdCompressor().compress(bytes(2 * 10**9 // 4))
    with closing(sqlite3.connect(alike)) as connection:
        connection.execute("UPDATE children SET child = ? WHERE key = '[\"c1\"]'", (bomb,))
        connection.commit()
    tracemalloc.start()
    try:
        found = outcome(ShardReader(alike), '["c1"]')
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(bomb) < 10**5, found, peak < 10**7) == (True, "corrupt", True)


def test_a_pipe_in_place_of_a_shard_is_refused(tmp_path):
    os.mkfifo(tmp_path / "s.sqlite")
    with pytest.raises(CorruptBundle, match=r"s.sqlite is no file"):
        ShardReader(tmp_path / "s.sqlite").read("[1]")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not tell which files are open")
def test_a_reader_that_is_let_go_keeps_no_file_open_until_garbage_is_looked_for(shard):
    def files() -> int:
        return [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")].count(str(shard))

    gc.collect()
    gc.disable()
    try:
        opened = ShardReader(shard)
        assert outcome(opened, next(iter(BLOBS))) is not None
        assert files() == 2
        del opened
        assert files() == 0
    finally:
        gc.enable()
