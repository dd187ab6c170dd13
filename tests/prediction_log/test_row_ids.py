"""One row has one name, whatever type a table holds it in."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction_log.row_ids import id_text, id_texts

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
