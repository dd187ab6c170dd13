"""Delta tables whose log, checkpoint or files somebody has changed: their rows, or one line; never another table's."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from logged_rows import ids_in, log_in

from metamodel.exceptions import InputError, MetaModelError
from metamodel.lineage.history_store import HistoryStore
from metamodel.lineage.table_schemas import EVENTS
from metamodel.prediction_log.compaction import compact_log
from metamodel.tables.delta import resolved
from metamodel.tables.files import read_batches, read_table

pytestmark = pytest.mark.attack

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})

_Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "mine", FRAME)
    write_deltalake(tmp_path / "theirs", FRAME.assign(b="theirs"))
    return tmp_path / "mine"


def _commit(table: Path) -> Path:
    return max((table / "_delta_log").glob("*.json"))


def _file(table: Path) -> Path:
    return next(table.rglob("*.parquet"))


def _change(table: Path, action: str, change: _Change) -> None:
    actions = [json.loads(line) for line in _commit(table).read_text().splitlines()]
    for one in actions:
        if action in one:
            change(one[action])
    _commit(table).write_text("".join(json.dumps(one) + "\n" for one in actions))


def _refused(table: Path, match: str) -> None:
    """Both ways of reading end in one line, and nothing is read."""
    for read in (read_table, lambda name: list(read_batches(name))):
        with pytest.raises(InputError, match=match) as caught:
            read(f"delta:{table}")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "named",
    ["{theirs}", "file://{theirs}", "../theirs/{name}", "%2e%2e/theirs/{name}", "..%2Ftheirs%2F{name}",
     "a/../../theirs/{name}",
     "/dev/zero", "file:///etc/passwd", "/proc/self/mem", "http://127.0.0.1:9/x.parquet", "s3://bucket/x.parquet",
     "", "a\0b", "_delta_log", "//{theirs}", "."],
)  # fmt: skip
@pytest.mark.parametrize("by", ["log", "checkpoint"])
def test_a_log_names_no_file_but_its_tables_own(table: Path, named: str, by: str) -> None:
    theirs = _file(table.with_name("theirs"))
    (table / "a").mkdir()
    name = named.format(theirs=theirs, name=theirs.name)
    _change(table, "add", lambda add: add.update(path=name))
    if by == "checkpoint":
        DeltaTable(table).create_checkpoint()
        _commit(table).unlink()
    _refused(table, "its log names .*, which is no file of this table")
    with pytest.raises(InputError, match="which is no file of this table"):
        resolved(table)


@pytest.mark.parametrize("again", ["./{}", "{}", "%70{}"])
def test_a_file_that_is_named_in_two_ways_is_not_read_twice(table: Path, again: str) -> None:
    (add,) = [line for line in _commit(table).read_text().splitlines() if line.startswith('{"add"')]
    name = _file(table).name
    other = again.format(name[1:] if again.startswith("%70") else name)
    with _commit(table).open("a") as file:
        file.write(add.replace(name, other) + "\n")
    if other == name:
        assert len(read_table(table)) == 3
    else:
        _refused(table, "its log names")


@pytest.mark.parametrize("size", [0, 1, -1, 2**62, 2**64, 1e30, "1", None])
def test_a_size_that_lies_is_one_line_or_does_not_matter(table: Path, size: object) -> None:
    _change(table, "add", lambda add: add.update(size=size))
    _refused(table, "cannot be read")


@pytest.mark.parametrize("stats", ["{", "[" * 100_000, '{"numRecords": -1e400}'])
def test_statistics_that_are_none_are_one_line(table: Path, stats: str) -> None:
    _change(table, "add", lambda add: add.update(stats=stats))
    _refused(table, "cannot be read")


def _vector(**changes: object) -> dict[str, object]:
    described = {"storageType": "p", "pathOrInlineDv": "file:///etc/passwd", "offset": 1, "sizeInBytes": 36}
    return {**described, "cardinality": 2, **changes}


@pytest.mark.parametrize(
    "vector",
    [
        _vector(),
        _vector(pathOrInlineDv="file:///dev/zero"),
        _vector(storageType="u", pathOrInlineDv="ab^-aqEH.-t@S}K{vb[*k^", sizeInBytes=2**31 - 1, cardinality=2**62),
        _vector(storageType="i", pathOrInlineDv="0" * 5_000_000, sizeInBytes=2**31 - 1),
        _vector(storageType="x"),
    ],
    ids=["a text", "without end", "gone", "long", "of no kind"],
)
def test_a_deletion_vector_that_is_none_is_one_line(table: Path, vector: dict[str, object]) -> None:
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    _change(table, "protocol", lambda said: said.update(minReaderVersion=3, minWriterVersion=7, **features))
    _change(table, "add", lambda add: add.update(deletionVector=vector))
    _refused(table, "cannot be read")


def _schema(fields: list[dict[str, object]]) -> str:
    return json.dumps({"type": "struct", "fields": [{"nullable": True, "metadata": {}, **field} for field in fields]})


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "[" * 100_000,
        _schema([{"name": f"c{i}", "type": "long"} for i in range(20_000)]),
        _schema([{"name": "a", "type": "string"}, {"name": "b", "type": "long"}]),
        _schema([{"name": "a", "type": "decimal(999999999999,5)"}]),
        _schema([{"name": "a", "type": "long"}] * 2),
    ],
    ids=["none", "deep", "wide", "of other kinds", "a huge number", "twice"],
)
def test_a_schema_that_cannot_be_meant_is_one_line(table: Path, schema: str) -> None:
    _change(table, "metaData", lambda said: said.update(schemaString=schema))
    _refused(table, r"cannot be read|has 20,000 columns")


@pytest.mark.parametrize(
    "text", ["", "\0" * 1000, '{"add":' + "[" * 1_000_000, '5\n[]\nnull\n"x"\n', '{"add":{"path":[1]}}']
)
def test_a_commit_that_is_none_is_one_line(table: Path, text: str) -> None:
    _commit(table).write_text(text)
    _refused(table, "cannot be read")


@pytest.mark.parametrize("version", [1, 9, 2**63 - 1])
def test_commits_that_do_not_follow_each_other_are_one_line(table: Path, version: int) -> None:
    shutil.copy(_commit(table), _commit(table).with_name(f"{version:020d}.json"))
    if version == 1:
        assert len(read_table(table)) == 3
    else:
        _refused(table, "cannot be read")


@pytest.mark.parametrize("version", [-1, 99])
def test_a_protocol_that_nobody_knows_is_one_line(table: Path, version: int) -> None:
    _change(table, "protocol", lambda said: said.update(minReaderVersion=version))
    _refused(table, "cannot be read")


@pytest.mark.parametrize("hint", ["{", '{"version": -1, "size": 10}', '{"version": 99999999999999999999, "size": 1}'])
def test_a_hint_of_a_checkpoint_that_is_none_leads_nowhere(table: Path, hint: str) -> None:
    (table / "_delta_log" / "_last_checkpoint").write_text(hint)
    assert read_table(table)["b"].tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("hint", ['{"version": 0, "size": 10, "parts": 2000000000}', '{"version": 7, "size": 10}'])
def test_a_hint_of_a_checkpoint_that_is_not_there_is_one_line(table: Path, hint: str) -> None:
    (table / "_delta_log" / "_last_checkpoint").write_text(hint)
    _refused(table, "cannot be read")


def _bomb_of_rows(checkpoint: Path) -> None:
    rows = pq.read_table(checkpoint)
    pq.write_table(
        rows.take(pa.array([rows.num_rows - 1]).take(pa.array([0] * 1_000_000))), checkpoint, compression="zstd"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(bytes(2000)),
        lambda file: file.write_bytes(file.read_bytes()[:-50]),
        lambda file: pq.write_table(pq.read_table(file).slice(0, 0), file),
        lambda file: pq.write_table(pa.table({"x": [1]}), file),
        _bomb_of_rows,
    ],
    ids=["junk", "cut", "empty", "another table", "a bomb of rows"],
)
def test_a_checkpoint_that_is_none_is_one_line(table: Path, change: Callable[[Path], object]) -> None:
    DeltaTable(table).create_checkpoint()
    change(next((table / "_delta_log").glob("*.checkpoint.parquet")))
    _commit(table).unlink()
    _refused(table, "cannot be read")


@pytest.mark.parametrize("place", ["_delta_log/_last_checkpoint", "_delta_log/00000000000000000001.json", "file"])
def test_a_pipe_is_not_waited_for(table: Path, place: str) -> None:
    pipe = _file(table) if place == "file" else table / place
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    if place.endswith(".json"):
        assert len(read_table(table)) == 3  # only files count there
    else:
        _refused(table, "no file")


@pytest.mark.parametrize("content", [b"", bytes(3000), b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_none_is_one_line(table: Path, content: bytes) -> None:
    _file(table).write_bytes(content)
    _change(table, "add", lambda add: add.update(size=len(content)))
    _refused(table, "cannot be read")


def test_a_history_names_no_other_historys_rows(tmp_path: Path) -> None:
    for place in ("mine", "theirs"):
        event = {"model": "sales", "id": place, "time": "2026-11-02", "kind": "promote", "version": 1}
        HistoryStore(tmp_path / place).append_event(event)
    theirs, mine = _file(tmp_path / "theirs" / "events"), HistoryStore(tmp_path / "mine")
    assert mine.read(EVENTS, ["id"], ds.scalar(True))["id"].to_pylist() == ["mine"]
    _change(tmp_path / "mine" / "events", "add", lambda add: add.update(path=str(theirs)))
    ways: list[Callable[[], object]] = [
        lambda: mine.read(EVENTS, ["id"], ds.scalar(True)),
        lambda: mine.query("SELECT * FROM events", "sales"),
        lambda: mine.append_event(
            {"model": "sales", "id": "more", "time": "2026-11-03", "kind": "promote", "version": 2}
        ),
    ]
    for way in ways:
        with pytest.raises(MetaModelError, match="which is no file of this table") as caught:
            way()
        assert "\n" not in str(caught.value)
    assert theirs.exists()


@pytest.mark.parametrize("way", ["named", "linked"])
def test_a_compacted_log_names_no_other_logs_rows_and_deletes_none(tmp_path: Path, way: str) -> None:
    mine, theirs = log_in(tmp_path / "mine", 1), log_in(tmp_path / "theirs", 1, start=100)
    for log in (mine, theirs):
        compact_log(log)
    other = _file(theirs / "delta")
    if way == "named":
        _change(mine / "delta", "add", lambda add: add.update(path=str(other)))
    else:
        own = _file(mine / "delta")
        own.unlink()
        own.symlink_to(other)
    with pytest.raises(InputError, match=r"is no file of this table|is a link"):
        ids_in(mine)
    with pytest.raises(InputError, match=r"is no file of this table|is a link"):
        compact_log(mine, delete_older="1d")
    assert ids_in(theirs) == list(range(100, 120))
