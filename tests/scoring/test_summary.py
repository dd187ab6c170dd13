"""Sums of errors: parts of a table add up to the whole, whatever the parts are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from metamodel.exceptions import InputError
from metamodel.scoring.summary import Errors, ScoreSummary, check_free

NUMBERS = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30), st.integers(0, 30))
def test_two_parts_are_judged_as_the_whole(rows, cut):
    actual, predicted = (pd.Series(values) for values in zip(*rows, strict=True))
    parts = [Errors.of(actual[at], predicted[at], "regression") for at in (slice(None, cut), slice(cut, None))]
    together = (parts[0] + parts[1]).metrics("regression")
    assert together["mae"] == pytest.approx(mean_absolute_error(actual, predicted))
    assert together["rmse"] == pytest.approx(root_mean_squared_error(actual, predicted))
    if actual.std() > 1e-3 * actual.abs().max():
        assert together["r2"] == pytest.approx(r2_score(actual, predicted), rel=1e-6, abs=1e-6)


def test_labels_are_right_or_wrong_whatever_kind_they_are():
    actual = pd.Series(["yes", None, "no", "no"])
    predicted = pd.Series(["yes", "yes", "yes", "no"])
    labels = Errors.of(actual, predicted, "classification")
    assert labels.metrics("classification") == {"accuracy": pytest.approx(2 / 3)}
    flags = Errors.of(pd.Series([True, False]), pd.Series([True, None], dtype="boolean"), "classification")
    assert (flags.rows, flags.metrics("classification")) == (1, {"accuracy": 1.0})


def test_rows_without_a_target_or_an_answer_are_left_out():
    actual = pd.Series([1.0, np.nan, 3.0, "none of it"], dtype=object)
    predicted = pd.Series([1.5, 2.0, np.nan, 4.0])
    errors = Errors.of(actual, predicted, "regression")
    assert (errors.rows, errors.absolute) == (1, 0.5)
    assert Errors.of(actual[1:2], predicted[1:2], "regression").metrics("regression") == {}


def test_the_commonest_reason_comes_first():
    reasons = {("failed", "a"): 2, ("unknown_group", "b"): 7}
    summary = ScoreSummary({"child": 1, "failed": 2, "unknown_group": 7}, reasons)
    assert summary.commonest() == [("unknown_group", "b", 7), ("failed", "a", 2)]
    assert (summary.rows, summary.unanswered) == (10, 9)
    assert summary.to_dict()["reasons"][0] == {"status": "unknown_group", "error": "b", "rows": 7}


def test_columns_that_would_be_hidden_are_named():
    check_free(["a", 1], ["status"])
    with pytest.raises(InputError, match="already has the column 'status'"):
        check_free(["status"], ["prediction", "status"])
