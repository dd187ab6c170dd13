"""What MLflow is told of the training table is what MLflow would say of it."""

import datetime as dt
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.data.pandas_dataset import from_pandas

from metamodel.tracking.dataset import digest, telling_rows, training_table

pytestmark = pytest.mark.tableless

_CELLS: dict[str, list[Any]] = {
    "float": [1.5, None, float("nan")],
    "whole": [1, 2, 3],
    "text": ["a", "b", None],
    "flag": [True, False, None],
    "day": [dt.date(2026, 1, 31), None, dt.date(2026, 2, 1)],
    "at": [pd.Timestamp("2026-01-31"), pd.NaT, pd.Timestamp("2026-02-01")],
    "mixed": ["a", 1, None],
    "decimal": [Decimal("1.5"), None, Decimal(2)],
    "list": [["a"], ["b", "c"], None],
}


def _said_by_mlflow(table: pd.DataFrame) -> Any:
    return from_pandas(table, digest="").schema


@pytest.fixture(autouse=True)
def _without_advice() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Inferred schema contains integer column")
        yield


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_the_schema_is_the_one_of_all_rows(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 60))
    kinds = data.draw(st.lists(st.sampled_from(list(_CELLS)), min_size=1, unique=True))
    table = pd.DataFrame(
        {kind: data.draw(st.lists(st.sampled_from(_CELLS[kind]), min_size=rows, max_size=rows)) for kind in kinds}
    )
    assert training_table(table, "no file", kinds[0]).schema == _said_by_mlflow(table)


@pytest.mark.parametrize("late", [None, "text"], ids=["a null", "another type"])
def test_what_stands_in_one_late_row_alone_changes_the_schema(late: Any) -> None:
    table = pd.DataFrame({"x": pd.Series([1.5] * 5000, dtype=object), "y": 1.0})
    table.loc[4321, "x"] = late
    assert training_table(table, "no file", "y").schema == _said_by_mlflow(table)
    assert _said_by_mlflow(table) != _said_by_mlflow(table.head(100))
    assert 4321 in telling_rows(table).index


def test_a_long_table_is_told_by_few_rows() -> None:
    table = pd.DataFrame({"group": ["a", "b"] * 50_000, "x": np.arange(100_000.0)})
    assert len(telling_rows(table)) <= 20


@pytest.mark.parametrize("rows", [0, 3, 20_000])
def test_the_digest_is_the_one_of_mlflow(rows: int) -> None:
    numbers = np.arange(float(rows))
    table = pd.DataFrame({"x": numbers, "text": numbers.astype(str), "at": pd.Timestamp("2026-01-31"), "n": 3})
    assert digest(table) == from_pandas(table).digest


def test_rows_and_cells_are_those_of_the_whole_table() -> None:
    table = pd.DataFrame({"x": np.arange(5000.0), "y": 1.0})
    assert training_table(table, "no file", "y").profile == {"num_rows": 5000, "num_elements": 10_000}
