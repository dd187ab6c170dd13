"""Metrics: scikit-learn's own numbers, and aggregates that leave out what no group has."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error

from metamodel.evaluation.metrics import (
    METRICS,
    PARTS,
    PRIMARY,
    aggregate,
    classification_metrics,
    is_better,
    regression_metrics,
)

VALUES = arrays(np.float64, 8, elements=st.floats(-1e3, 1e3).map(lambda value: round(value, 3)))


@given(VALUES, VALUES)
def test_regression_metrics_are_those_of_scikit_learn(y, predicted):
    ours = regression_metrics(y, predicted)
    assert ours["mae"] == pytest.approx(mean_absolute_error(y, predicted))
    assert ours["rmse"] == pytest.approx(root_mean_squared_error(y, predicted))
    if len(set(y)) > 1:
        assert ours["r2"] == pytest.approx(r2_score(y, predicted))


@pytest.mark.parametrize("y", [[1.0], [2.0, 2.0]])
def test_r2_of_one_row_or_a_constant_target_is_unknown(y):
    assert np.isnan(regression_metrics(np.array(y), np.array(y) + 1)["r2"])


@pytest.mark.parametrize("labels", [["a", "b", "a", "b"], [0, 1, 0, 1], [False, True, False, True]])
def test_classification_metrics_are_those_of_scikit_learn(labels):
    y, classes = np.array(labels), np.unique(labels)
    predicted, probabilities = y[[0, 1, 1, 0]], np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    assert classification_metrics(y, predicted, probabilities, classes) == {
        "accuracy": 0.5,
        "f1_macro": pytest.approx(f1_score(y, predicted, average="macro")),
        "log_loss": pytest.approx(log_loss(y, probabilities)),
    }


def test_a_label_the_child_has_never_seen_costs_dearly_but_no_error():
    y = np.array(["a", "c"])
    metrics = classification_metrics(y, np.array(["a", "a"]), np.array([[0.9, 0.1], [0.5, 0.5]]), np.array(["a", "b"]))
    assert metrics["log_loss"] > 10


def test_without_probabilities_there_is_no_log_loss():
    y = np.array(["a", "b"])
    assert np.isnan(classification_metrics(y, y, None, np.array(["a", "b"]))["log_loss"])


@pytest.mark.parametrize(
    ("metric", "new", "old", "better"),
    [
        ("rmse", 1, 2, True),
        ("rmse", 2, 1, False),
        ("accuracy", 0.9, 0.8, True),
        ("r2", 0.1, 0.2, False),
        ("rmse", 1, 1, False),
        ("log_loss", np.nan, 1, False),
        ("log_loss", 1, np.nan, True),
        ("log_loss", np.nan, np.nan, False),
    ],
)
def test_a_metric_is_better_in_its_own_direction_and_a_missing_one_never(metric, new, old, better):
    assert is_better(metric, new, old) is better


@pytest.mark.parametrize("task", METRICS)
def test_the_primary_metric_is_one_of_the_metrics(task):
    assert PRIMARY[task] in METRICS[task]


def ledger(**columns):
    names = [f"{part}_{metric}" for part in PARTS for metric in METRICS["regression"]]
    return pd.DataFrame(dict.fromkeys(names, np.nan) | columns, index=range(5))


def test_aggregates_summarise_a_metric_over_the_groups():
    summary = aggregate(ledger(holdout_rmse=[1.0, 2.0, 3.0, 4.0, np.nan]), "regression")
    assert summary == {
        "holdout_rmse_mean": 2.5,
        "holdout_rmse_median": 2.5,
        "holdout_rmse_p10": pytest.approx(1.3),
        "holdout_rmse_p90": pytest.approx(3.7),
        "holdout_rmse_worst": 4.0,
    }


def test_the_worst_of_a_score_is_its_smallest():
    assert aggregate(ledger(train_r2=[0.5, 0.9, 0.1, 0.2, 0.3]), "regression")["train_r2_worst"] == 0.1


def test_a_metric_that_no_group_has_is_left_out():
    assert aggregate(ledger(), "regression") == {}
