"""Metrics of one child, and the aggregates over all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray

__all__ = [
    "METRICS",
    "PARTS",
    "PRIMARY",
    "SECONDARY",
    "aggregate",
    "classification_metrics",
    "effective_rows",
    "is_better",
    "log_losses",
    "metric_names",
    "regression_metrics",
    "rounding_error",
    "skill",
]

# What a metric is measured on: training rows, held-out rows, and held-out rows answered by the best baseline.
PARTS = ("train", "holdout", "baseline")

METRICS = {"regression": ("mae", "rmse", "r2"), "classification": ("accuracy", "f1_macro", "log_loss")}

PRIMARY = {"regression": "rmse", "classification": "log_loss"}

# What candidates are compared by where one of them lacks the primary metric (no probabilities, no log loss).
SECONDARY = {"regression": "mae", "classification": "accuracy"}

# Errors smaller than this, relative to the target, are made by floating-point numbers and not by a model.
_ROUNDING = 1e-12

_HIGHER_IS_BETTER = {"r2", "accuracy", "f1_macro"}


def is_better(metric: str, new: float, old: float) -> bool:
    """Whether a metric's new value beats the old one; a missing value beats nothing and is beaten by any.

    Examples
    --------
    >>> is_better("rmse", 1.0, 2.0), is_better("r2", 0.5, 0.9), is_better("rmse", float("nan"), 2.0)
    (True, False, False)
    """
    if np.isnan(new):
        return False
    if np.isnan(old):
        return True
    return new > old if metric in _HIGHER_IS_BETTER else new < old


def rounding_error(metric: str, actual: AnyArray) -> float:
    """Say up to which size a metric on some rows is nothing but rounding: a mean of equal numbers may miss them a bit.

    Examples
    --------
    >>> rounding_error("rmse", np.array([0.0, -50.0])), rounding_error("log_loss", np.array(["no", "yes"]))
    (5e-11, 1e-12)
    """
    largest = float(np.abs(actual).max(initial=0)) if metric in ("mae", "rmse") else 1.0
    return _ROUNDING * largest


def skill(metric: str, value: float, baseline: float, rounding: float = 0.0) -> float:
    """Say how much of the baseline's error a child saves: 1 is all of it, 0 none, negative is worse than the baseline.

    Parameters
    ----------
    metric
        Name of the metric; where higher is better its distance to 1 counts as the error.
    value, baseline
        The metric of the child and that of the baseline.
    rounding
        Errors, and differences between them, up to this size count as none.

    Returns
    -------
    float
        NaN where one of them is missing; minus infinity where only the baseline is without an error.

    Examples
    --------
    >>> skill("rmse", 1.0, 4.0), skill("accuracy", 0.9, 0.8), skill("mae", 3.0, 2.0)
    (0.75, 0.5, -0.5)
    >>> skill("rmse", 1e-17, 0.0, rounding=1e-12)
    0.0
    """
    if metric in _HIGHER_IS_BETTER:
        value, baseline = 1 - value, 1 - baseline
    if np.isnan(value) or np.isnan(baseline):
        return float("nan")
    if abs(value - baseline) <= rounding:
        return 0.0
    if baseline <= rounding:
        return -float("inf")
    return float(1 - value / baseline)


def regression_metrics(y: AnyArray, predicted: AnyArray, weights: AnyArray | None = None) -> dict[str, float]:
    """MAE, RMSE and R² as scikit-learn defines them (R² is NaN for a constant target or a single row).

    Written out because scikit-learn's checks cost 0.2 ms a metric, which is more than fitting a small child.

    Parameters
    ----------
    y, predicted
        Target, shape (n_rows,).
    weights
        Weight of each row, shape (n_rows,); None for equal ones. Where all are 0, every metric is NaN.

    Examples
    --------
    >>> regression_metrics(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    {'mae': 0.5, 'rmse': 0.7071067811865476, 'r2': 0.5}
    """
    error = predicted - y
    spread = _mean((y - _mean(y, weights)) ** 2, weights)
    squared = _mean(error**2, weights)
    return {
        "mae": _mean(np.abs(error), weights),
        "rmse": float(np.sqrt(squared)),
        "r2": 1 - squared / spread if spread > 0 and len(y) > 1 else float("nan"),
    }


def classification_metrics(
    y: AnyArray,
    predicted: AnyArray,
    probabilities: AnyArray | None,
    classes: AnyArray,
    weights: AnyArray | None = None,
) -> dict[str, float]:
    """Accuracy, macro F1 and, where the child gives probabilities, log loss, as scikit-learn defines them.

    Written out because scikit-learn's checks cost as much as fitting a small classifier.

    Parameters
    ----------
    y, predicted
        Labels, shape (n_rows,).
    probabilities
        Shape (n_rows, n_classes), or None.
    classes
        The child's classes, in the order of the columns. A label that the child has never seen has probability 0 and
        costs what scikit-learn's clipping makes of it.
    weights
        Weight of each row, shape (n_rows,); None for equal ones. Where all are 0, every metric is NaN.
    """
    return {
        "accuracy": _mean((y == predicted).astype(np.float64), weights),
        "f1_macro": _f1_macro(y, predicted, weights),
        "log_loss": float("nan") if probabilities is None else _log_loss(y, probabilities, classes, weights),
    }


def _mean(values: AnyArray, weights: AnyArray | None) -> float:
    if weights is None:
        return float(values.mean())
    total = weights.sum()
    return float(weights @ values / total) if total > 0 else float("nan")


def _f1_macro(y: AnyArray, predicted: AnyArray, weights: AnyArray | None) -> float:
    if weights is not None and not weights.sum() > 0:
        return float("nan")
    labels, codes = np.unique(np.concatenate([y, predicted]), return_inverse=True)
    true, guessed = codes[: len(y)], codes[len(y) :]
    hit = true == guessed
    hits = np.bincount(true[hit], None if weights is None else weights[hit], len(labels))
    both = np.bincount(true, weights, len(labels)) + np.bincount(guessed, weights, len(labels))
    return float(np.mean(2 * hits / np.where(both > 0, both, 1)))


def _log_loss(y: AnyArray, probabilities: AnyArray, classes: AnyArray, weights: AnyArray | None) -> float:
    if len(np.unique(np.concatenate([classes, y]))) < 2:
        return float("nan")
    return _mean(log_losses(y, probabilities, classes), weights)


def log_losses(y: AnyArray, probabilities: AnyArray, classes: AnyArray) -> AnyArray:
    """Each row's log loss, shape (n_rows,); parameters as of `classification_metrics`."""
    every, codes = np.unique(np.concatenate([classes, y]), return_inverse=True)
    column = np.full(len(every), -1)
    column[codes[: len(classes)]] = np.arange(len(classes))
    own = column[codes[len(classes) :]]
    given = np.where(own < 0, 0.0, np.take_along_axis(probabilities, own.clip(min=0).reshape(-1, 1), axis=1)[:, 0])
    epsilon = np.finfo(np.float64).eps
    losses: AnyArray = -np.log(given.clip(epsilon, 1 - epsilon))
    return losses


def aggregate(ledger: pd.DataFrame, task: str) -> dict[str, float]:
    """Summarise every metric column over the groups (parents and the global model apart).

    Parameters
    ----------
    ledger
        One row a group, already without parent levels.

    Returns
    -------
    dict
        ``holdout_rmse_mean``, ``_median``, ``_p10``, ``_p90`` and ``_worst`` and so on; a metric that no group has is
        left out.
    """
    summary: dict[str, float] = {}
    for part in PARTS:
        for metric in METRICS[task]:
            values = ledger[f"{part}_{metric}"].dropna()
            if len(values):
                with np.errstate(invalid="ignore"):  # a child that predicts infinity has an infinite error
                    statistics = {name: float(of(values)) for name, of in _statistics(metric).items()}
                summary |= {f"{part}_{metric}_{name}": value for name, value in statistics.items()}
    return summary


def _statistics(metric: str) -> dict[str, Callable[[Any], float]]:
    return {
        "mean": np.mean,
        "median": np.median,
        "p10": lambda values: np.quantile(values, 0.1),
        "p90": lambda values: np.quantile(values, 0.9),
        "worst": np.min if metric in _HIGHER_IS_BETTER else np.max,
    }


def metric_names(task: str) -> list[str]:
    """Names of the ledger's metric columns, in order."""
    return [f"{part}_{metric}" for part in PARTS for metric in METRICS[task]]


def effective_rows(weights: AnyArray) -> float:
    """So many equal rows would tell as much (Kish's effective sample size).

    Examples
    --------
    >>> effective_rows(np.ones(4)), effective_rows(np.array([3.0, 1.0]))
    (4.0, 1.6)
    """
    squares = weights @ weights
    return float(weights.sum() ** 2 / squares) if squares > 0 else 0.0
