"""Compaction: every row is read once, before, during and after it, wherever it was killed."""

import datetime as dt
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from killed_compactions import erasing, exit_code
from logged_rows import age_that_keeps, ids_in, log_in
from ready_processes import ready_processes

from metamodel import compact_log, read_log
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError
from metamodel.prediction_log import compaction, log_store
from metamodel.prediction_log.delta_store import DeltaStore
from metamodel.prediction_log.hive_store import HiveStore
from metamodel.prediction_log.log_files import new_files, write_new_file
from metamodel.prediction_log.log_locks import removing

DAY = 86_400_000_000
NOW = int(dt.datetime.now(dt.UTC).timestamp() * 1e6)


def test_rows_are_the_same_before_and_after_and_lie_by_day(store: str, tmp_path: Path):
    log_in(tmp_path)
    before = pd.concat(read_log(tmp_path)).sort_values("row_id", ignore_index=True)
    done = compact_log(tmp_path)
    assert (done.files, done.rows, new_files(tmp_path)) == (3, 60, [])
    after = pd.concat(read_log(tmp_path)).sort_values("row_id", ignore_index=True)
    pd.testing.assert_frame_equal(after[before.columns.tolist()], before)
    assert len({path.parent.name for path in tmp_path.rglob("day=*/*.parquet")}) == 3
    log_in(tmp_path, 1, start=60)
    assert ids_in(tmp_path) == list(range(80))
    assert compact_log(tmp_path).rows == 20
    assert compact_log(tmp_path).rows == 0
    assert ids_in(tmp_path) == list(range(80))


def test_versions_with_other_features_are_one_log(store: str, tmp_path: Path):
    log_in(tmp_path, 1, drop=("z",))
    compact_log(tmp_path)
    log_in(tmp_path, 1, start=20)
    compact_log(tmp_path)
    log_in(tmp_path, 1, start=40, features="none")
    table = pd.concat(read_log(tmp_path)).sort_values("row_id", key=lambda ids: ids.astype(int))
    assert table["feature_z"].notna().tolist() == [False] * 20 + [True] * 20 + [False] * 20


def test_a_file_that_is_damaged_or_of_other_types_is_set_aside_and_the_others_are_read(store: str, tmp_path: Path):
    log_in(tmp_path, 2)
    (tmp_path / "new" / "rows-20200101T000000000000-h-1-aaaaaaaa.parquet").write_bytes(b"PAR1 and no more")
    write_new_file(tmp_path, pa.table({"time": ["yesterday"]}))
    with pytest.raises(InputError, match=r"is damaged .*`metamodel compact-log` sets it aside"):
        next(read_log(tmp_path))
    done = compact_log(tmp_path)
    assert (done.rows, done.damaged, len(list((tmp_path / "damaged").iterdir()))) == (40, 2, 2)
    assert ids_in(tmp_path) == list(range(40))


def test_old_days_and_forgotten_people_are_gone_from_the_disk(store: str, tmp_path: Path):
    log_in(tmp_path)
    compact_log(tmp_path)
    log_in(tmp_path, 1, start=60)
    hashes = {row.row_id: row.entity_hash for part in read_log(tmp_path) for row in part.itertuples()}
    done = compact_log(tmp_path, delete_older=age_that_keeps(2), forget_entity=[[3]], secret="hush")
    assert (done.rows, done.deleted, done.forgotten) == (20, 20, 12)
    assert ids_in(tmp_path) == [i for i in range(20, 80) if i % 5 != 3]
    stored = [pq.read_table(path, partitioning=None) for path in tmp_path.rglob("*.parquet")]
    everywhere = {name for table in stored for name in table["entity_hash"].to_pylist()}
    assert hashes["3"] not in everywhere
    assert len(everywhere) == 4
    # Delta's own log names whom a commit has deleted, and of nobody else's rows anything but their times.
    texts = [path.read_bytes() for path in tmp_path.rglob("*.json")]
    assert not any(hashes[name].encode() in text for text in texts for name in ("1", "2"))


def test_nobody_is_forgotten_without_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("METAMODEL_LOG_SECRET", raising=False)
    log_in(tmp_path)
    with pytest.raises(InputError, match=r"without the key of the pseudonyms\. Set METAMODEL_LOG_SECRET"):
        compact_log(tmp_path, forget_entity=[[3]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "hive"])
def test_killed_anywhere_it_loses_no_row_and_doubles_none_and_the_next_one_ends_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if kind == "hive":
        monkeypatch.setattr(log_store, "find_spec", lambda _: None)
    left = [i for i in range(20, 100) if i % 5 != 3]
    context = ready_processes()
    for step in (*range(1, 12), *range(13, 98, 7)):
        folder = log_in(tmp_path / str(step), 5)
        code = exit_code(context, folder, kind, step)
        assert code in (0, -signal.SIGKILL)
        read = ids_in(folder)
        assert len(read) == len(set(read))
        assert set(left) <= set(read)
        compact_log(folder, **erasing())
        assert ids_in(folder) == left
        assert new_files(folder) == []
        if code == 0:
            break
    assert step > 8
    assert code == 0


class Killed(Exception):
    """Ends a compaction where it stands."""


def killed_after(done: str, folder: Path, **options: object) -> None:
    """Compact a log until a step is done."""

    def last_step(function: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object) -> None:
            function(*arguments)
            raise Killed

        return step

    with pytest.MonkeyPatch.context() as patch:
        for kind in (DeltaStore, HiveStore):
            patch.setattr(kind, done, last_step(getattr(kind, done)))
        with pytest.raises(Killed):
            compact_log(folder, **options)


def compact_while_read(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[int]:
    """Compact a log that somebody reads, until he is waited for; tell the rows that he sees."""
    parts = read_log(folder, batch_rows=20)
    seen = [next(parts)]

    def until_waited_for(path: Path, *, wait: bool = True) -> AbstractContextManager[bool]:
        seen.extend(parts if wait else ())
        return removing(path, wait=wait)

    monkeypatch.setattr(compaction, "removing", until_waited_for)
    compact_log(folder, **options)
    assert next(parts, None) is None
    return sorted(int(name) for part in seen for name in part["row_id"])


def test_rows_that_a_killed_one_took_in_are_not_taken_in_again_while_somebody_reads(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log_in(tmp_path)
    killed_after("append", tmp_path)
    log_in(tmp_path, 1, start=60)
    assert compact_while_read(tmp_path, monkeypatch) == list(range(80))
    assert ids_in(tmp_path) == list(range(80))
    assert new_files(tmp_path) == []


def test_who_was_forgotten_by_a_killed_one_is_gone_from_the_disk_also_while_somebody_reads(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log_in(tmp_path)
    compact_log(tmp_path)
    (forgotten,) = {row.entity_hash for part in read_log(tmp_path) for row in part.itertuples() if row.row_id == "3"}
    killed_after("forget", tmp_path, forget_entity=[[3]], secret="hush")
    assert compact_while_read(tmp_path, monkeypatch, forget_entity=[[3]], secret="hush") == ids_in(tmp_path)
    stored = [pq.read_table(path, partitioning=None) for path in tmp_path.rglob("*.parquet")]
    assert not any(forgotten in table["entity_hash"].to_pylist() for table in stored)


def test_what_a_killed_writer_has_left_is_swept_away_when_it_is_old(tmp_path: Path):
    log_in(tmp_path)
    old, young = (tmp_path / "new" / f".rows-{name}.parquet.unfinished-1" for name in ("a", "b"))
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (0, 0))
    compact_log(tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_what_somebody_is_writing_stays_however_old_it_seems(tmp_path: Path):
    log_in(tmp_path)
    with whole_file(tmp_path / "new" / "rows-a.parquet") as unfinished:
        os.utime(unfinished, (0, 0))
        compact_log(tmp_path)
        assert unfinished.is_file()


def test_many_files_are_taken_in_some_at_a_time(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compaction, "_FILES_AT_ONCE", 2)
    log_in(tmp_path, 7)
    assert compact_log(tmp_path).files == 7
    assert ids_in(tmp_path) == list(range(140))
