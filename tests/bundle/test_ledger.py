"""The ledger: every column is declared once, documented, and written as it is declared."""

import json
import math
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.api import types
from places import ROOT

import metamodel
from metamodel.bundle.ledger import COLUMNS, COMPARISON_COLUMNS, SHRINKAGE_COLUMNS, LedgerRow, column_names
from metamodel.evaluation.conformal import INTERVAL_COLUMNS
from metamodel.evaluation.metrics import metric_names
from metamodel.evaluation.pooled_selection import Contest

# What a row holds that is no column of this name.
BESIDE = {"key", "metrics", "resident", "tuning", "contest", "transformed"}


def test_the_table_in_the_docs_is_the_declaration() -> None:
    lines = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| column | type | written by | what it holds |") + 2
    table = lines[start : start + len(COLUMNS) + 1]
    declared = [f"| `{column.name}` | {column.type} | {column.stage} | {column.meaning} |" for column in COLUMNS]
    assert table == [*declared, ""]


def test_no_column_is_declared_twice() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_a_row_has_a_value_for_every_column_of_the_fit_and_for_no_other() -> None:
    declared = [column.name for column in COLUMNS if column.stage in ("fit", "gather") and "<" not in column.name]
    assert {field.name for field in fields(LedgerRow)} - BESIDE == set(declared)
    assert set(LedgerRow("[]", 0, "skipped", 1).cells()) == set(declared)


def test_metrics_stand_where_they_are_declared() -> None:
    names = column_names("regression")
    start = names.index("params") + 1
    assert names[start : names.index("candidate")] == metric_names("regression")
    assert set(metric_names("classification")) <= set(column_names("classification"))


def test_stages_add_their_columns_behind_those_of_every_ledger() -> None:
    plain = column_names("regression")
    assert column_names("regression", "interval", "shrinkage") == [*plain, *SHRINKAGE_COLUMNS, *INTERVAL_COLUMNS]
    assert column_names("regression", "refer") == [*plain, "uri"]
    assert (plain[-len(COMPARISON_COLUMNS) :], "weights" in plain) == (list(COMPARISON_COLUMNS), False)


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": np.repeat(list("abcdef"), 30), "x": rng.normal(size=180)})
    frame = frame.assign(y=frame["x"] + rng.normal(size=180))
    return frame.drop(frame.index[frame["shop"] == "f"][1:])


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    options: dict[str, Any] = {"shrinkage": "relative", "interval": 0.8, "unknown": "fallback", "prune": True}
    return metamodel.train(panel(), "shop", "y", ["ridge", "decision_tree"], n_jobs=1, **options).ledger


def test_a_training_writes_the_columns_that_are_declared(ledger: pd.DataFrame) -> None:
    assert list(ledger) == ["shop", *column_names("regression", "shrinkage", "interval")]


def test_columns_have_the_declared_types(ledger: pd.DataFrame) -> None:
    assert set(ledger["status"]) == {"fitted", "skipped"}
    assert ledger["holdout_mae"].isna().any()
    right = {"integer": types.is_integer_dtype, "number": types.is_float_dtype}
    for column in COLUMNS:
        for name in column.names("regression") if column.stage != "refer" else ():
            if column.type == "text":
                assert all(isinstance(value, str) for value in ledger[name]), name
            else:
                assert right[column.type](ledger[name].dtype), name


NUMBERS = st.floats(allow_nan=False, width=32)


@given(
    st.dictionaries(st.sampled_from(metric_names("regression")), NUMBERS),
    st.lists(st.fixed_dictionaries({"candidate": st.text(), "seconds": NUMBERS, "params": st.just({"alpha": 1.0})})),
    st.none() | st.just(Contest("rmse", ("a", "b"), (1.0, math.inf), ((0.5,), ()), 7.0, "a", ("note",))),
    st.text(),
)
def test_a_row_survives_json(metrics: Any, tuning: Any, contest: Contest | None, error: str) -> None:
    row = LedgerRow(
        '["a"]', 1, "fitted", 9, error=error, metrics=metrics, tuning=tuple(tuning), contest=contest, skill=0.5,
        imbalance=1.0, gain=0.1, gain_se=0.2, p_value_incumbent=0.3,
    )  # fmt: skip
    assert LedgerRow.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_a_value_that_is_no_column_is_an_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        LedgerRow(**{"key": "[]", "level": 0, "status": "fitted", "rows": 1, "colour": "red"})
