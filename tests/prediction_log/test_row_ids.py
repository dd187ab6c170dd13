"""One row has one name, whatever type a table holds it in; nothing is joined to what has none."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction_log.row_ids import NamedRows, id_text, id_texts, read_labels

COLUMNS: dict[str, tuple[Any, list[str | None]]] = {
    "integers": ([7, 8], ["7", "8"]),
    "integers beside a null": ([7, None], ["7", None]),
    "Int64": (pd.array([7, None], dtype="Int64"), ["7", None]),
    "fractions": ([7.5, 8.0], ["7.5", "8"]),
    "texts": (["007", "7.0"], ["007", "7.0"]),
    "texts beside a null": (["a", None], ["a", None]),
    "all kinds": (pd.Series([7, "7", 7.0, None], dtype=object), ["7", "7", "7", None]),
    "days": (pd.to_datetime(["2026-03-02", None]), ["2026-03-02", None]),
    "dates": ([dt.date(2026, 3, 2)], ["2026-03-02"]),
    "times of a zone": (
        pd.to_datetime(["2026-03-02 13:00"]).tz_localize("Europe/Paris"),
        ["2026-03-02T12:00:00+00:00"],
    ),
    "categories": (pd.Categorical(["b", "a", None]), ["b", "a", None]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_is_written_as_a_log_writes_it(kind: str) -> None:
    values, expected = COLUMNS[kind]
    assert id_texts(pd.Series(values)).tolist() == expected


@given(values=st.lists(st.one_of(st.integers(-(2**62), 2**62), st.text(), st.none()), max_size=20))
def test_a_column_of_objects_is_written_as_each_value_by_itself(values: list[Any]) -> None:
    assert id_texts(pd.Series(values, dtype=object)).tolist() == [id_text(value) for value in values]


def test_rows_are_found_by_several_columns_and_never_by_a_missing_one() -> None:
    rows = NamedRows(pd.DataFrame({"shop": [None, 1, 1, None], "day": ["a", "a", "b", "a"]}), ["shop", "day"])
    asked = pd.DataFrame({"shop": ["1", None, "1", "2"], "day": ["b", "a", "a", "a"]})
    assert rows.places(asked).tolist() == [2, -1, 1, -1]
    assert not len(rows.doubled)
    assert NamedRows(pd.DataFrame({"id": [7, 8, 7.0, None, None]}), ["id"]).doubled.tolist() == [2]


def test_ids_of_a_csv_file_of_labels_are_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("row_id,sales\n007,1.5\n7,2.5\n")
    table = read_labels(tmp_path / "labels.csv", ["row_id"])
    assert table["row_id"].tolist() == ["007", "7"]
    np.testing.assert_array_equal(table["sales"], [1.5, 2.5])
