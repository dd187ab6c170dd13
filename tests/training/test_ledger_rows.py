"""From rows to tables: one order whatever the order of the tasks, every column, and no training without a child."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metamodel.bundle.ledger import LedgerRow
from metamodel.exceptions import AllGroupsFailed
from metamodel.fitting.tuning import TUNING_COLUMNS, TuningRecord
from metamodel.training.ledger_rows import refuse_empty, to_ledger, tuning_table
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan


@pytest.fixture(scope="module")
def plan():
    frame = pd.DataFrame({"key": ["b", "a"] * 4, "n": [2, 1] * 4, "x": np.arange(8.0), "y": np.arange(8.0)})
    options = TrainingOptions.create(["key", "n"], target="y", unknown="fallback")
    return make_plan(frame, options, "ridge", None, ["x"])


ROWS = [
    LedgerRow("[]", 0, "fitted", 8, shard="0.sqlite"),
    LedgerRow('["b",2]', 2, "fitted", 4, metrics={"holdout_mae": 1.5}),
    LedgerRow('["a"]', 1, "fitted", 4),
    LedgerRow('["a",1]', 2, "failed", 4, reason="error", error="ValueError: no"),
]


def test_children_come_first_then_their_parents_each_sorted_by_key(plan):
    ledger = to_ledger(ROWS, plan)
    assert ledger["key"].fillna("").tolist() == ["a", "b", "a", ""]
    assert ledger["n"].fillna(-1).tolist() == [1, 2, -1, -1]
    pd.testing.assert_frame_equal(to_ledger(ROWS[::-1], plan), ledger)


def test_every_column_of_the_plan_is_there_and_holds_what_the_row_says(plan):
    ledger = to_ledger(ROWS, plan)
    assert list(ledger) == plan.ledger_columns
    assert ledger["shard"].tolist() == ["", "", "", "0.sqlite"]
    assert ledger["error"].tolist() == ["ValueError: no", "", "", ""]
    assert ledger["holdout_mae"].fillna(-1).tolist() == [-1, 1.5, -1, -1]
    assert ledger[["stack", "p_value", "holdout_rmse"]].isna().all(axis=None)


def test_a_training_without_a_child_is_refused_with_the_commonest_reasons(plan):
    refuse_empty(to_ledger(ROWS, plan))
    failed = [replace(row, status="failed", reason="error", error="ValueError: no.") for row in ROWS]
    with pytest.raises(AllGroupsFailed, match=r"None of 4 groups could be fitted.*4 groups: ValueError: no\. Correct"):
        refuse_empty(to_ledger(failed, plan))


def test_the_table_of_searches_has_a_row_for_each_group_and_candidate(plan):
    records = [
        {**TuningRecord("ridge", "Ridge", trials=3, params={"b": 1, "a": 2.0}).to_dict(), "chosen": True},
        {**TuningRecord("tree", "Tree", rounds=7).to_dict(), "chosen": False},
    ]
    rows = [replace(ROWS[1], tuning=tuple(records)), *ROWS[2:]]
    table = tuning_table(rows, plan)
    assert list(table) == ["key", "n", *TUNING_COLUMNS]
    assert table[["key", "level", "candidate", "chosen"]].to_numpy().tolist() == [
        ["b", 2, "ridge", True],
        ["b", 2, "tree", False],
    ]
    assert (json.loads(table["params"][0]), table["rounds"][1]) == ({"a": 2.0, "b": 1}, 7)


def test_without_searches_the_table_has_its_columns_and_no_rows(plan):
    table = tuning_table(ROWS, plan)
    assert (list(table), len(table)) == (["key", "n", *TUNING_COLUMNS], 0)
