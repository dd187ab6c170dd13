"""Labels come in parts, from a table or a file, and are the same as if they were held whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.prediction_log import label_rows
from metamodel.prediction_log.label_rows import LabelRows, LabelSource


def test_ids_of_a_csv_file_of_labels_are_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("row_id,sales\n007,1.5\n7,2.5\n")
    source = LabelSource(tmp_path / "labels.csv", ["row_id"])
    table = pd.concat(source.parts())
    assert table["row_id"].tolist() == ["007", "7"]
    np.testing.assert_array_equal(table["sales"], [1.5, 2.5])


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=1, max_size=40), st.integers(1, 7))
def test_labels_in_parts_are_those_of_the_whole_table(labels: list, rows: int) -> None:
    table = pd.DataFrame({"row_id": range(len(labels)), "sold": pd.array(labels, dtype="Int64"), "shop": "a"})
    whole = table[table["sold"].notna()].reset_index(drop=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_rows, "_PART_ROWS", rows)
        known = LabelRows(LabelSource(table, ["row_id"]), ["row_id"], "sold", ["shop"])
    pd.testing.assert_frame_equal(known.table, whole[["sold", "shop"]])
    assert len(known.fitted) == len(whole)
    expected = np.full(len(table), -1)
    expected[whole["row_id"]] = np.arange(len(whole))
    assert known.places(table).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["table", "file"])
def test_the_first_doubled_name_is_told_whichever_part_it_is_in(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_rows, "_PART_ROWS", 2)
    table = pd.DataFrame({"row_id": ["a", "b", "c", "x", "b", "a"], "sold": [1.0, 2.0, 3.0, np.nan, 4.0, 5.0]})
    given_labels: object = table
    if kind == "file":
        given_labels = tmp_path / "labels.parquet"
        table.to_parquet(tmp_path / "labels.parquet", row_group_size=2)
        assert pq.ParquetFile(tmp_path / "labels.parquet").num_row_groups == 3
    rows = LabelRows(LabelSource(given_labels, ["row_id"]), ["row_id"], "sold")
    assert rows.doubled() == (2, ["b"])


def test_no_label_is_a_table_without_a_row() -> None:
    known = LabelRows(LabelSource(pd.DataFrame({"row_id": [], "sold": []}), ["row_id"]), ["row_id"], "sold")
    assert known.places(pd.DataFrame({"row_id": ["a"]})).tolist() == [-1]
    assert known.doubled() == (0, [])


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file or folder"):
        LabelSource(tmp_path / "labels.parquet", ["row_id"])
