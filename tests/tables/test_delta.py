"""Delta tables without a JVM: every version is the table as it was, and nothing is written over."""

from decimal import Decimal
from pathlib import Path

import deltalake
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pandas.testing import assert_frame_equal

import metamodel
from metamodel.exceptions import InputError
from metamodel.scoring import score_file
from metamodel.tables.delta import delta_reason, read_delta, resolved, write_delta
from metamodel.tables.files import read_batches, read_table, write_table

WEEKS = [
    pd.DataFrame({"store": ["FR", "DE"] * 300, "week": week, "x": np.arange(600.0), "y": np.arange(600.0) * week})
    for week in (1, 2, 3)
]


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """A table with a version a week; the third takes the second's place."""
    path = tmp_path / "sales"
    for week, mode in zip(WEEKS, ("error", "append", "overwrite"), strict=True):
        write_deltalake(path, week, mode=mode)
    return path


@pytest.mark.parametrize(
    ("at", "weeks"), [("", [3]), ("@v0", [1]), ("@v1", [1, 2]), ("@v2", [3]), ("@2999-01-01T00:00:00+02:00", [3])]
)
def test_a_version_is_the_table_as_it_was(sales: Path, at: str, weeks: list[int]) -> None:
    frame = read_table(f"delta:{sales}{at}").sort_values(["week", "x"], ignore_index=True)
    assert_frame_equal(frame, pd.concat([WEEKS[week - 1] for week in weeks], ignore_index=True), check_dtype=False)


def test_a_folder_with_a_log_holds_one_version_and_not_the_files_of_all(sales: Path) -> None:
    assert read_table(sales)["week"].unique().tolist() == [3]
    assert resolved(sales) == f"delta:{sales}@v2"


def test_a_version_is_read_in_one_order_whole_and_in_parts(tmp_path: Path) -> None:
    for start in (0, 100_000):
        write_deltalake(tmp_path / "t", pd.DataFrame({"n": np.arange(start, start + 100_000)}), mode="append")
    whole = read_table(f"delta:{tmp_path / 't'}")["n"].tolist()
    assert sorted(whole) == list(range(200_000))
    for _ in range(3):
        parts = list(read_batches(f"delta:{tmp_path / 't'}", batch_rows=7_001))
        assert max(map(len, parts)) <= 7_001
        assert pd.concat(parts)["n"].tolist() == whole


def test_deleted_rows_and_partitions_are_read_right(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", WEEKS[0], partition_by=["store"])
    DeltaTable(tmp_path / "t").delete("x >= 100")
    read = read_table(tmp_path / "t").sort_values("x", ignore_index=True)
    assert_frame_equal(read[list(WEEKS[0])], WEEKS[0][:100], check_dtype=False)


def test_a_table_whose_features_pyarrow_does_not_know_is_read(tmp_path: Path) -> None:
    schema = deltalake.Schema.from_arrow(pa.schema([("a", pa.int64())]))
    DeltaTable.create(tmp_path / "t", schema, configuration={"delta.enableDeletionVectors": "true"})
    write_deltalake(tmp_path / "t", pd.DataFrame({"a": [1, 2, 3]}), mode="append")
    assert read_table(tmp_path / "t")["a"].tolist() == [1, 2, 3]


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.Table.from_pandas(WEEKS[0])[:0])
    (part,) = read_batches(tmp_path / "t")
    assert (len(part), list(part)) == (0, list(WEEKS[0]))


@pytest.mark.parametrize(
    ("at", "match"),
    [
        ("@v9", r"^'delta:.*@v9' cannot be read: the newest version is 2\.$"),
        ("@2001-01-01", r"cannot be read: the table begins at 20\S+\+00:00\. Name a later time\.$"),
        ("/nothing", r"^'delta:.*nothing' cannot be read: .+\. Check the path\.$"),
    ],
)
def test_what_is_not_there_is_one_line(sales: Path, at: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_table(f"delta:{sales}{at}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["delta:", "delta: ", "delta:@", "delta:@v3"])
def test_a_name_of_no_table_is_told(name: str) -> None:
    with pytest.raises(InputError, match=rf"^'{name}' names no table\. Say where it lies: delta:/lake/sales\.$"):
        read_table(name)


def test_without_deltalake_the_command_that_brings_it_is_told(sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metamodel.common.extras.find_spec", lambda module: None)
    with pytest.raises(InputError, match=r"^A Delta table needs deltalake, .* Run: pip install deltalake "):
        read_table(sales)  # and its Parquet files are not taken for the table


def test_what_is_written_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": [0, 1, 2],
            "text": ["a", None, "c"],
            "category": pd.Categorical(["x", "y", "x"]),
            "unsigned": np.array([1, 2, 2**40], dtype="uint64"),
            "null": [None, None, None],
            "time": pd.to_datetime(["2020-01-01T00:00:00.000000", "2021-01-01T01:02:03.000004", None]),
            "zone": pd.to_datetime(["2020-01-01", "2021-01-01", None]).tz_localize("Europe/Paris"),
            "decimal": [Decimal("1.50"), Decimal("2.25"), None],
            "flag": [True, False, True],
        }
    )
    name = f"delta:{tmp_path / 't'}"
    assert write_table(name, [frame[:2], frame[2:]]) == 3
    read = read_table(name).sort_values("n")  # rows of a Delta table have no order
    assert read["text"].tolist()[::2] == ["a", "c"]
    assert read["category"].tolist() == ["x", "y", "x"]
    assert read["unsigned"].tolist() == [1, 2, 2**40]
    assert read["null"].isna().all()
    assert read["time"].tolist()[:2] == frame["time"].tolist()[:2]
    assert read["zone"].tolist()[:2] == frame["zone"].dt.tz_convert("UTC").tolist()[:2]
    assert read["decimal"].tolist() == frame["decimal"].tolist()
    assert read["flag"].tolist() == [True, False, True]


def test_nothing_is_written_over(sales: Path) -> None:
    with pytest.raises(InputError, match=r"^'delta:.*sales' exists already\. Name another output,"):
        write_delta(f"delta:{sales}", [WEEKS[0]])
    assert DeltaTable(sales).version() == 2


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (pd.to_timedelta([1, 2], unit="s"), r"^Column 'c' holds durations, for which Delta has no type"),
        (np.array([1, 2**63 + 1], dtype="uint64"), r"cannot be written: Integer value \d+ not in range: 0 to \d+\.$"),
        (pd.to_datetime([1, 2], unit="ns"), r"cannot be written: Casting .+ would lose data: \d+\.$"),
    ],
)
def test_what_delta_cannot_hold_is_refused_and_leaves_no_table(tmp_path: Path, column: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        write_delta(f"delta:{tmp_path / 't'}", [pd.DataFrame({"c": column})])
    assert not DeltaTable.is_deltatable(str(tmp_path / "t"))


def test_a_part_that_fails_leaves_no_table(tmp_path: Path) -> None:
    def parts() -> object:
        yield WEEKS[0]
        raise InputError("the second part is wrong")

    with pytest.raises(InputError, match="the second part is wrong"):
        write_delta(f"delta:{tmp_path / 't'}", parts())  # type: ignore[arg-type]
    assert not DeltaTable.is_deltatable(str(tmp_path / "t"))


@pytest.fixture
def trained(sales: Path, tmp_path: Path) -> metamodel.TrainingResult:
    return metamodel.train(f"delta:{sales}@v1", "store", "y", "ridge", n_jobs=1, output_dir=tmp_path / "bundle")


def test_training_records_the_version_that_it_read(sales: Path, trained: metamodel.TrainingResult) -> None:
    assert trained.source == f"delta:{sales}@v1"
    assert trained.ledger["rows"].tolist() == [600, 600]
    now = metamodel.train(sales, "store", "y", "ridge", n_jobs=1)
    assert now.source == f"delta:{sales}@v2"
    assert now.ledger["rows"].tolist() == [300, 300]


def test_a_table_is_scored_into_another_one(sales: Path, trained: metamodel.TrainingResult, tmp_path: Path) -> None:
    output = f"delta:{tmp_path / 'scored'}"
    summary = score_file(f"delta:{sales}", trained.bundle_path, output)
    assert summary.statuses == {"child": 600}
    scored = pd.concat(read_delta(output, 100)).sort_values("x")
    rows = read_table(sales).sort_values("x")
    expected = metamodel.load_model(trained.bundle_path).predict(rows)["prediction"]
    np.testing.assert_array_equal(scored["prediction"], expected)


def test_a_table_is_not_scored_into_itself(sales: Path, trained: metamodel.TrainingResult) -> None:
    with pytest.raises(InputError, match="is, or lies in, the table that is read"):
        score_file(f"delta:{sales}@v1", trained.bundle_path, f"delta:{sales}")


CAUSES = (
    "Kernel error -> Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET http://127.0.0.1:1/lake in 3 s\n"
    "   \x1b[31m↳\x1b[0m tcp connect error\n    \x1b[31m↳\x1b[0m Connection refused (os error 111)\n"
)
REFUSED = (
    "Generic S3 error\n ↳ 404 Not Found\n ↳ <?xml?>\n<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message>"
)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (CAUSES, "Generic S3 error: Connection refused (os error 111)."),
        (REFUSED, "Generic S3 error: No such bucket."),
        ("Generic error: no.\nstack\ntrace", "Generic error: no."),
        ("", "OSError."),
    ],
    ids=["causes", "an answer", "a stack trace", "nothing"],
)
def test_what_an_object_store_says_becomes_one_line(said, line):
    assert delta_reason(OSError(said)) == line
