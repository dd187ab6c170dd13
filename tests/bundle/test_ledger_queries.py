"""Questions to a ledger: which row is whose, which groups do worst, and who would answer."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.bundle.ledger_queries import (
    deciding_metric,
    encoded_keys_of,
    interval_summary,
    keys_of,
    who_answers,
    with_keys,
    worst_first,
)
from metamodel.prediction.pooled_model import POOLED
from metamodel.tables.keys import KeyColumn, KeySchema, encode_key

SCHEMA = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")), "group")

KEYS = [("FR", 2), ("FR",), ("FR", 1), (), ("DE", 9), (None, 3)]


@pytest.fixture
def ledger() -> pd.DataFrame:
    """Two stores with a child, two without, a parent and the global model, in no order."""
    status = ["fitted", "fitted", "skipped", "fitted", "failed", "fitted"]
    rows = pd.DataFrame({"level": [len(key) for key in KEYS], "status": status, "rows": [20, 30, 10, 65, 5, 30]})
    return with_keys(rows, KEYS, SCHEMA)


def test_children_stand_before_their_parents_each_sorted_by_key_with_null_last(ledger: pd.DataFrame) -> None:
    assert ledger["level"].tolist() == [2, 2, 2, 2, 1, 0]
    assert ledger["rows"].tolist() == [5, 10, 20, 30, 30, 65]
    assert ledger["country"].fillna("?").tolist() == ["DE", "FR", "FR", "?", "FR", "?"]
    assert str(ledger["store"].dtype) == "Int64"


def test_the_callers_ledger_is_left_as_it_was() -> None:
    rows = pd.DataFrame({"level": [2]})
    with_keys(rows, [("FR", 1)], SCHEMA)
    assert list(rows) == ["level"]


VALUES = {
    "string": st.text(max_size=3),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
}


@given(st.data(), st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
def test_keys_come_back_from_the_columns_that_they_were_written_to(data: st.DataObject, kinds: list[str]) -> None:
    schema = KeySchema(tuple(KeyColumn(f"k{i}", kind) for i, kind in enumerate(kinds)), "group")
    whole = st.tuples(*(st.none() | VALUES[kind] for kind in kinds))
    keys = data.draw(
        st.lists(st.builds(lambda key, level: key[:level], whole, st.integers(0, len(kinds))), unique=True)
    )
    keys = [tuple(c.canonical(v) for c, v in zip(schema.columns, key, strict=False)) for key in keys]
    ledger = with_keys(pd.DataFrame({"level": [len(key) for key in keys], "place": range(len(keys))}), keys, schema)
    assert [keys[place] for place in ledger["place"]] == keys_of(ledger, schema)
    assert keys_of(ledger, schema) == sorted(
        keys, key=lambda key: (-len(key), [(v is None, 0 if v is None else v) for v in key])
    )
    assert [encode_key(keys[place]) for place in ledger["place"]] == encoded_keys_of(ledger, schema)


def test_every_row_is_answered_by_the_nearest_that_has_a_child(ledger: pd.DataFrame) -> None:
    assert who_answers(ledger, SCHEMA, (1, 0)) == {
        "child": (2, 50),
        "parent:1": (1, 10),
        "global": (1, 5),
        "nobody": (0, 0),
    }


def test_a_pooled_model_answers_groups_without_a_child_where_it_stands_in_the_global_ones_place(
    ledger: pd.DataFrame,
) -> None:
    answered = who_answers(ledger.assign(status=ledger["status"].replace("skipped", "pooled")), SCHEMA, (1, POOLED))

    assert answered == {"child": (2, 50), "pooled": (2, 15), "parent:1": (0, 0), "nobody": (0, 0)}


def test_without_fallback_groups_without_a_child_are_answered_by_nobody(ledger: pd.DataFrame) -> None:
    assert who_answers(ledger, SCHEMA, ()) == {"child": (2, 50), "nobody": (2, 15)}


METRIC_NAMES = [f"{part}_{name}" for part in ("train", "holdout") for name in ("mae", "rmse", "r2")]
NO_METRIC = pd.DataFrame({name: [np.nan, np.nan] for name in METRIC_NAMES})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (METRIC_NAMES, "holdout_rmse"),
        (["holdout_r2", "train_rmse"], "holdout_r2"),
        (["train_rmse", "train_mae"], "train_rmse"),
        ([], "holdout_rmse"),
    ],
    ids=str,
)
def test_groups_are_judged_on_rows_that_they_have_not_seen_where_there_are_any(known: list[str], expected: str) -> None:
    assert deciding_metric(NO_METRIC.assign(**{name: [1.0, np.nan] for name in known}), "regression") == expected


@pytest.mark.parametrize(
    ("metric", "expected"), [("holdout_rmse", [2, 3, 0]), ("holdout_mae", [2, 3, 0]), ("holdout_r2", [0, 3, 2])]
)
def test_the_worst_stand_first_and_those_without_the_metric_are_left_out(metric: str, expected: list[int]) -> None:
    groups = pd.DataFrame({metric: [0.1, np.nan, 0.9, 0.5]})
    assert worst_first(groups, metric).index.tolist() == expected


def test_intervals_are_counted_by_whose_rows_set_them_and_parents_are_left_out() -> None:
    ledger = pd.DataFrame(
        {
            "level": [2, 2, 2, 2, 1],
            "status": ["fitted", "fitted", "fitted", "skipped", "fitted"],
            "interval_level": [2, 1, np.nan, 0, 1],
            "coverage": [0.9, 0.6, np.nan, np.nan, 0.0],
            "coverage_rows": [10, 5, 0, 0, 100],
        }
    )
    assert interval_summary(ledger, 2) == {
        "groups_with_own_interval": 1,
        "groups_borrowing_interval": 1,
        "groups_without_interval": 1,
        "interval_coverage": pytest.approx(0.8),
    }


def test_coverage_that_was_counted_nowhere_is_not_said() -> None:
    columns = {"level": [1], "status": ["fitted"], "interval_level": [0], "coverage": [np.nan], "coverage_rows": [0]}
    assert "interval_coverage" not in interval_summary(pd.DataFrame(columns), 1)
