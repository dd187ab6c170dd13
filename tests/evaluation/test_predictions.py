"""Predictions beside what came true: folds pooled, classes aligned, and each row's share in a metric."""

import numpy as np
import pytest

from metamodel.evaluation.metrics import METRICS
from metamodel.evaluation.predictions import Predictions

pytestmark = pytest.mark.tableless

FIRST = Predictions(
    np.array(["a", "b"]), np.array(["a", "a"]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.array(["a", "b"])
)
SECOND = Predictions(np.array(["c"]), np.array(["c"]), np.array([[0.3, 0.7]]), np.array(["b", "c"]))


def test_folds_with_other_classes_are_pooled_by_class() -> None:
    pooled = Predictions.pooled([FIRST, SECOND])
    assert pooled.probabilities is not None
    assert pooled.classes.tolist() == ["a", "b", "c"]
    assert pooled.probabilities.tolist() == [[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.0, 0.3, 0.7]]
    assert pooled.actual.tolist() == ["a", "b", "c"]


def test_one_fold_without_probabilities_leaves_none() -> None:
    plain = Predictions(SECOND.actual, SECOND.predicted, None, SECOND.classes)
    assert Predictions.pooled([FIRST, plain]).probabilities is None


@pytest.mark.parametrize(("metric", "power"), [("mae", 1), ("rmse", 2), ("r2", 2)])
def test_rows_losses_make_up_the_metric_of_a_regression(metric: str, power: int) -> None:
    predictions = Predictions(np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 1.0]), None, np.empty(0))
    assert predictions.losses(metric).tolist() == [0.0, 2.0**power, 3.0**power]


@pytest.mark.parametrize("metric", METRICS["classification"])
def test_rows_losses_make_up_the_metric_of_a_classification(metric: str) -> None:
    expected = FIRST.metrics("classification")["log_loss"] if metric == "log_loss" else 0.5
    assert FIRST.losses(metric).mean() == pytest.approx(expected)
