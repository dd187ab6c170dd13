"""Folders of a history that somebody has changed: rows as they were written, or one line; never another history's."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from metamodel.exceptions import InputError, MetaModelError
from metamodel.lineage import history_store
from metamodel.lineage.history_store import HistoryStore
from metamodel.lineage.table_schemas import EVENTS, LINEAGE

pytestmark = pytest.mark.attack

FLIPS = 300


def _event(id_: str) -> dict[str, object]:
    return {"model": "sales", "id": id_, "time": "2026-11-02", "kind": "promote", "version": 1}


def _ids(store: HistoryStore) -> list[tuple[str, str]]:
    return [(row["model"], row["id"]) for row in store.read(EVENTS, ["model", "id"], ds.scalar(True)).to_pylist()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of one event."""
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    HistoryStore(tmp_path / "mine").append_event(_event("mine"))
    return tmp_path / "mine"


def _file(place: Path) -> Path:
    return place / "events" / "model=sales" / "rows.parquet"


@pytest.mark.parametrize(
    "name",
    [
        "events/model=sales/model=other/rows.parquet",
        "events/model=sales/shop=1/rows.parquet",
        "events/shop=sales/rows.parquet",
        "events/model=sales/below/rows.parquet",
        "events/model=sales/copy.parquet",
        "events/model=%73ales/rows.parquet",
    ],
)
def test_a_file_in_a_place_where_no_writer_puts_one_is_refused_and_not_counted_twice(place: Path, name: str) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_file(place), place / name)
    with pytest.raises(InputError, match=r"is no file of a history \(.*\)\. Take it away"):
        _ids(HistoryStore(place))


@pytest.mark.parametrize("version", ["eight", "08", "1e1", "99999999999999999999", "-0", ""])
def test_a_version_that_is_none_or_written_otherwise_is_refused(place: Path, version: str) -> None:
    odd = place / "lineage" / "model=sales" / f"version={version}" / "rows.parquet"
    odd.parent.mkdir(parents=True)
    shutil.copy(_file(place), odd)
    with pytest.raises(InputError, match=r"is no file of a history \(.*\)\. Take it away"):
        HistoryStore(place).read(LINEAGE, ["version"], ds.scalar(True))


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    _file(place).unlink()
    os.mkfifo(_file(place))
    with pytest.raises(InputError, match="is no file of a history"):
        _ids(HistoryStore(place))


@pytest.mark.parametrize("linked", ["events/model=sales/rows.parquet", "events/model=sales", "events"])
def test_a_link_to_another_history_is_neither_read_nor_written_through(place: Path, linked: str) -> None:
    theirs = HistoryStore(place.with_name("theirs"))
    theirs.append_event(_event("theirs"))
    link = place / linked
    shutil.rmtree(link) if link.is_dir() else link.unlink()
    link.symlink_to(place.with_name("theirs") / linked)
    with pytest.raises(InputError, match="is a link, and a history has none"):
        _ids(HistoryStore(place))
    with pytest.raises(InputError, match="is a link, and a history has none"):
        HistoryStore(place).append_event(_event("more"))
    assert _ids(theirs) == [("sales", "theirs")]


def test_a_partition_is_not_written_through_a_link(place: Path) -> None:
    theirs = place.with_name("theirs")
    theirs.mkdir()
    (place / "monitor").symlink_to(theirs)
    row = pq.read_table(_file(place)).to_pandas().drop(columns=list(EVENTS.schema.names), errors="ignore")
    groups = row.assign(**dict.fromkeys(_OF_MONITOR))
    with pytest.raises(InputError, match="is a link, and a history has none"):
        HistoryStore(place).write_window(groups, {"model": "sales", "window": "w"}, 1)
    assert not list(theirs.rglob("*.parquet"))


_OF_MONITOR = ("key", "level", "status", "answered_by", "rows", "labelled", "labelled_share", "p_drift",
               "p_performance", "error_effect", "coverage", "columns")  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.set_column(table.schema.get_field_index("version"), "version", pa.array([1.5])),
        lambda table: table.set_column(table.schema.get_field_index("version"), "version", pa.array([2**64 - 1], "u8")),
        lambda table: table.set_column(table.schema.get_field_index("id"), "id", pa.array([["a list"]])),
    ],
    ids=["a fraction", "a huge number", "a list"],
)
def test_a_value_of_another_kind_is_one_line(place: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(_file(place), partitioning=None)), _file(place))
    with pytest.raises(InputError, match=r"is damaged \(.*\)\. Restore it") as caught:
        HistoryStore(place).read(EVENTS, None, ds.scalar(True))
    assert "\n" not in str(caught.value)


def test_a_file_cannot_say_that_its_rows_are_another_models(place: Path) -> None:
    table = pq.read_table(_file(place), partitioning=None)
    pq.write_table(table.append_column("model", pa.array(["evil"])), _file(place))
    assert _ids(HistoryStore(place)) == [("sales", "mine")]


def test_flipped_pages_and_cut_files_give_rows_as_before_or_one_line_and_are_not_written_over(place: Path) -> None:
    store = HistoryStore(place)
    for i in range(20):
        store.append_event(_event(f"event-{i:02}"))
    before, content, dice = _ids(store), _file(place).read_bytes(), random.Random(17)
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = other = 0
    for turn in range(FLIPS):
        changed = bytearray(content)
        if turn % 3:
            changed[dice.randrange(4, pages)] ^= 1 << dice.randrange(8)
        else:
            del changed[dice.randrange(len(changed)) :]
        _file(place).write_bytes(changed)
        try:
            other += _ids(store) != before
        except MetaModelError:
            refused += 1
    assert refused > LEAST_REFUSED
    assert other < FLIPS / 50
    _file(place).write_bytes(content[:-20])
    with pytest.raises(InputError, match="is damaged"):
        store.append_event(_event("more"))
    assert _file(place).read_bytes() == content[:-20]


# A cut is always seen; of flips those in columns that were asked for.
LEAST_REFUSED = FLIPS / 3
