"""Files of a prediction log that a disk, or somebody, has changed, cut or put there: rows as they were, or an error."""

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logged_rows import ids_in, log_in

from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError, MetaModelError
from metamodel.prediction_log import log_store
from metamodel.prediction_log.compaction import compact_log
from metamodel.prediction_log.log_counts import read_log_counts, write_count_file
from metamodel.prediction_log.log_files import new_files, write_new_file
from metamodel.prediction_log.log_reader import read_log

pytestmark = pytest.mark.attack

FILES = 600


def _rows(folder: Path) -> pd.DataFrame:
    rows = pd.concat(read_log(folder)).astype(str)
    return rows.sort_values("row_id").reset_index(drop=True)


def _damaged(dice: random.Random, content: bytes, pages: int) -> bytes:
    """Flip some bits of the pages, cut the file, or write other bytes over some of it."""
    changed, way = bytearray(content), dice.randrange(3)
    if way == 0:
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(4, pages)] ^= 1 << dice.randrange(8)
    elif way == 1:
        del changed[dice.randrange(len(changed)) :]
    else:
        start = dice.randrange(4, pages)
        changed[start : min(pages, start + 50)] = dice.randbytes(dice.randint(1, 50))
    return bytes(changed)


def test_a_changed_value_is_damage(tmp_path: Path) -> None:
    folder = log_in(tmp_path, 1)
    (file,) = new_files(folder)
    content = file.read_bytes()
    assert content.count(b"sales") > 0  # the model's name, in the dictionary of its column
    file.write_bytes(content.replace(b"sales", b"tales", 1))
    with pytest.raises(InputError, match=r"is damaged \(.*CRC"):
        list(read_log(folder))


def test_changed_pages_and_cut_files_give_no_error_that_is_not_ours_and_hardly_ever_other_rows(tmp_path: Path) -> None:
    """The few bytes in front of a page that say how to read it have no checksum."""
    folder = log_in(tmp_path, 3)
    rows, file = _rows(folder), new_files(folder)[1]
    content, dice = file.read_bytes(), random.Random(17)
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")  # behind them is the footer
    outcomes: Counter[str] = Counter()
    for _ in range(FILES):
        file.write_bytes(_damaged(dice, content, pages))
        try:
            again = _rows(folder)
        except MetaModelError:
            outcomes["refused"] += 1
            continue
        outcomes["as before" if again.equals(rows) else "other rows"] += 1
    assert outcomes.total() == FILES
    assert outcomes["refused"] > FILES / 2
    assert outcomes["other rows"] < FILES / 50


def test_a_changed_footer_is_rows_or_an_error_of_ours(tmp_path: Path) -> None:
    """A footer has no checksum: a name that was changed in it is another column's."""
    folder = log_in(tmp_path, 2)
    file = new_files(folder)[0]
    content, dice = file.read_bytes(), random.Random(17)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    outcomes: Counter[str] = Counter()
    for _ in range(FILES // 2):
        changed = bytearray(content)
        changed[dice.randrange(footer, len(content))] ^= 1 << dice.randrange(8)
        file.write_bytes(changed)
        try:
            outcomes[f"{len(_rows(folder))} rows"] += 1
        except MetaModelError:
            outcomes["refused"] += 1
    assert outcomes.total() == FILES // 2
    assert outcomes.keys() >= {"refused", "40 rows"}


def test_what_is_no_file_of_the_log_is_passed_over_or_set_aside_and_the_others_are_read(tmp_path: Path) -> None:
    folder = log_in(tmp_path, 2)
    first = new_files(folder)[0]
    new = first.parent
    os.mkfifo(new / "rows-20200101T000000000000-h-1-aaaaaaaa.parquet")  # opening it would wait for ever
    (new / "rows-20200101T000000000000-h-1-bbbbbbbb.parquet").mkdir()
    (new / "rows-20200101T000000000000-h-1-cccccccc.parquet").symlink_to("/dev/zero")
    assert ids_in(folder) == list(range(40))
    content = first.read_bytes().replace(b"sales", b"tales", 1)  # in a page: the footer is whole
    odd = new / "rows-20200101T000000000000-h-1-dddddddd.parquet"
    odd.write_bytes(content)
    write_new_file(folder, pa.table({"row_id": ["a row without a time"]}))
    with pytest.raises(InputError, match=r"dddddddd.parquet of the log is damaged"):
        list(read_log(folder))
    done = compact_log(folder)
    assert (done.rows, done.damaged) == (40, 2)
    assert ids_in(folder) == list(range(40))


@pytest.fixture
def two_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two compacted logs in folders of Parquet, side by side."""
    monkeypatch.setattr(log_store, "find_spec", lambda name: None)
    folders = log_in(tmp_path / "mine", 2), log_in(tmp_path / "theirs", 2, start=100)
    for folder in folders:
        compact_log(folder)
    return folders


def _names(folder: Path) -> list[str]:
    names: list[str] = json.loads((folder / "compacted.json").read_text())["files"]
    return names


@pytest.mark.parametrize("way", ["absolute", "above", "twice", "gone", "a folder", "a number", "nul"])
def test_files_that_are_not_the_logs_own_or_stand_twice_are_refused_and_nothing_is_deleted(
    two_logs: tuple[Path, Path], way: str
) -> None:
    mine, theirs = two_logs
    own, others = _names(mine), _names(theirs)
    named = {
        "absolute": [str(theirs / name) for name in others],
        "above": [f"../theirs/{name}" for name in others],
        "twice": own * 2,
        "gone": [*own, own[0].replace("rows-", "rows-0")[:-9] + ".parquet"],
        "a folder": ["days"],
        "a number": [1],
        "nul": ["days/\0"],
    }[way]
    (mine / "compacted.json").write_text(json.dumps({"files": named, "taken": []}))
    with pytest.raises(InputError, match=r"compacted\.json names .* Restore it"):
        list(read_log(mine))
    with pytest.raises(InputError, match=r"compacted\.json names .* Restore it"):
        compact_log(mine, delete_older="1d")
    assert all((folder / name).exists() for folder, names in ((mine, own), (theirs, others)) for name in names)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": null, "taken": []}', "[" * 100_000, "\ud800"])
def test_a_list_of_files_that_is_none_is_one_line(two_logs: tuple[Path, Path], text: str) -> None:
    (two_logs[0] / "compacted.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="names no files of a log") as caught:
        list(read_log(two_logs[0]))
    assert "\n" not in str(caught.value)


def test_a_list_of_files_that_is_there_twice_is_not_read_as_the_last(two_logs: tuple[Path, Path]) -> None:
    names = json.dumps(_names(two_logs[0]))
    (two_logs[0] / "compacted.json").write_text(f'{{"files": {names}, "files": [], "taken": []}}')
    with pytest.raises(InputError, match="'files' stands twice"):
        list(read_log(two_logs[0]))


def test_a_link_leads_to_no_rows_of_another_log(two_logs: tuple[Path, Path]) -> None:
    mine, theirs = two_logs
    (mine / "new" / "rows-20200101T000000000000-h-1-cccccccc.parquet").symlink_to(theirs / _names(theirs)[0])
    assert ids_in(mine) == list(range(40))
    assert compact_log(mine).files == 0
    own = mine / _names(mine)[0]
    own.unlink()
    own.symlink_to(theirs / _names(theirs)[0])
    with pytest.raises(InputError, match="which is no file of this log"):
        list(read_log(mine))


def _with(table: pa.Table, name: str, values: list[object], kind: pa.DataType) -> pa.Table:
    column = pa.array(values, kind)
    place = table.schema.get_field_index(name)
    return table.append_column(name, column) if place < 0 else table.set_column(place, name, column)


@pytest.mark.parametrize("has_delta", [True, False], ids=["delta", "folders"])
@pytest.mark.parametrize("way", ["a day of its own", "no time", "a time that is none", "the year 9000"])
def test_rows_of_no_day_are_set_aside_and_neither_lost_nor_kept_for_ever_nor_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, has_delta: bool
) -> None:
    if not has_delta:
        monkeypatch.setattr(log_store, "find_spec", lambda name: None)
    folder = log_in(tmp_path, 2)
    (first, _) = new_files(folder)
    table = pq.read_table(first)
    times = table.schema.field("time").type
    name, value, kind = {
        "a day of its own": ("day", "2026-11-29", pa.string()),
        "no time": ("time", None, times),
        "a time that is none": ("time", 2**62, times),
        "the year 9000": ("time", 221_845_392_000_000_000, times),
    }[way]
    odd = first.with_name("rows-20200101T000000000000-h-1-dddddddd.parquet")
    pq.write_table(_with(table, name, [value] * table.num_rows, kind), odd)
    done = compact_log(folder, delete_older="30d")
    assert (done.rows, done.damaged) == (40, 1)
    assert (folder / "damaged" / odd.name).exists()
    assert ids_in(folder) == list(range(40))


def test_a_bomb_of_rows_is_read_part_by_part(tmp_path: Path) -> None:
    """Three million rows in one row group of some tens of kilobytes."""
    folder = log_in(tmp_path, 1)
    table = pq.read_table(new_files(folder)[0]).slice(0, 1).select(["row_id", "time"])
    many = table.take(pa.array([0]).take(pa.array([0] * 3_000_000)))
    bomb = folder / "new" / "rows-20200101T000000000000-h-1-eeeeeeee.parquet"
    pq.write_table(many, bomb, compression="zstd", row_group_size=3_000_000)
    assert bomb.stat().st_size < 10**5
    sizes = [len(part) for part in read_log(folder, columns=["row_id"])]
    assert sum(sizes) == 3_000_020
    assert max(sizes) <= 100_000


def _counts_in(folder: Path, **meta: object) -> Path:
    """Write a file of 7 counted rows, which says other things of itself."""
    counts = np.zeros((1, 1, SLOTS), dtype=np.int64)
    totals = np.array([[7, 0, 0, 0]])
    window = WindowCounts(('["a"]',), np.array([1], dtype=np.uint64), ("x",), counts, totals, window="2026-11-23")
    path = write_count_file(folder, window, "sales", "8")
    if meta:
        table = pq.read_table(path)
        described = {"model": "sales", "version": "8", "day": "2026-11-23", "replaces": [], **meta}
        said = {**(table.schema.metadata or {}), b"metamodel.log_counts": json.dumps(described).encode()}
        pq.write_table(table.replace_schema_metadata(said), path)
    return path


@pytest.mark.parametrize(
    "meta", [{"model": None}, {"day": 20261123}, {"replaces": 1}, {"replaces": [["a"]]}, {"version": {}}], ids=str
)
def test_counts_that_do_not_say_whose_they_are_are_one_line_and_set_aside(tmp_path: Path, meta: dict[str, Any]) -> None:
    folder = log_in(tmp_path, 1)
    _counts_in(folder)
    odd = _counts_in(folder, **meta)
    with pytest.raises(InputError, match=f"{odd.name} of the log is damaged"):
        list(read_log_counts(folder))
    compact_log(folder)
    assert [counts.totals[0, 0] for _, counts in read_log_counts(folder)] == [7]


def test_counts_that_say_that_they_are_in_themselves_are_not_passed_over(tmp_path: Path) -> None:
    path = _counts_in(tmp_path)
    table = pq.read_table(path)
    said = {"model": "sales", "version": "8", "day": "2026-11-23", "replaces": [path.name]}
    metadata = {**(table.schema.metadata or {}), b"metamodel.log_counts": json.dumps(said).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(InputError, match="is damaged"):
        list(read_log_counts(tmp_path))


@pytest.mark.parametrize("rows", [-7, 2**62, None, 0.5], ids=str)
def test_counts_that_are_none_are_refused_and_not_added_up(tmp_path: Path, rows: float | None) -> None:
    _counts_in(tmp_path)
    path = _counts_in(tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index("rows"), "rows", pa.array([rows])), path)
    with pytest.raises(InputError, match="holds no counts of a window"):
        list(read_log_counts(tmp_path))
