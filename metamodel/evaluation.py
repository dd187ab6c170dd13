"""Metrics of one child, and the aggregates over all of them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, log_loss

from metamodel.frames import AnyArray

__all__ = [
    "METRICS",
    "PRIMARY",
    "SECONDARY",
    "Answers",
    "aggregate",
    "classification_metrics",
    "is_better",
    "regression_metrics",
]

METRICS = {"regression": ("mae", "rmse", "r2"), "classification": ("accuracy", "f1_macro", "log_loss")}
PRIMARY = {"regression": "rmse", "classification": "log_loss"}
# What candidates are compared by where one of them lacks the primary metric (no probabilities, no log loss).
SECONDARY = {"regression": "mae", "classification": "accuracy"}
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


def regression_metrics(y: AnyArray, predicted: AnyArray) -> dict[str, float]:
    """MAE, RMSE and R² as scikit-learn defines them (R² is NaN for a constant target or a single row).

    Written out because scikit-learn's checks cost 0.2 ms a metric, which is more than fitting a small child.

    Examples
    --------
    >>> regression_metrics(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    {'mae': 0.5, 'rmse': 0.7071067811865476, 'r2': 0.5}
    """
    error = predicted - y
    spread = float(((y - y.mean()) ** 2).sum())
    squared = float((error**2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(squared / len(y))),
        "r2": 1 - squared / spread if spread > 0 and len(y) > 1 else float("nan"),
    }


def classification_metrics(
    y: AnyArray, predicted: AnyArray, probabilities: AnyArray | None, classes: AnyArray
) -> dict[str, float]:
    """Accuracy, macro F1 and, where the child gives probabilities, log loss.

    Parameters
    ----------
    y, predicted
        Labels, shape (n_rows,).
    probabilities
        Shape (n_rows, n_classes), or None.
    classes
        The child's classes, in the order of the columns. A label that the child has never seen has probability 0 and
        costs what scikit-learn's clipping makes of it.
    """
    metrics = {
        "accuracy": float(np.mean(y == predicted)),
        "f1_macro": float(f1_score(y, predicted, average="macro", zero_division=0)),
        "log_loss": float("nan"),
    }
    if probabilities is not None:
        every = np.unique(np.concatenate([classes, y]))
        full = np.zeros((len(y), len(every)))
        full[:, np.searchsorted(every, classes)] = probabilities
        if len(every) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rows that do not sum to one: unseen labels
                metrics["log_loss"] = float(log_loss(y, full, labels=every))
    return metrics


@dataclass(frozen=True)
class Answers:
    """A child's answers to some rows, beside what came true.

    Attributes
    ----------
    actual, predicted
        Target, shape (n_rows,).
    probabilities
        Shape (n_rows, n_classes), or None where the child gives none.
    classes
        The classes of its columns, sorted.
    """

    actual: AnyArray
    predicted: AnyArray
    probabilities: AnyArray | None
    classes: AnyArray

    @classmethod
    def pooled(cls, parts: "Sequence[Answers]") -> "Answers":
        """Put the rows of several folds behind one another."""
        if len(parts) == 1:
            return parts[0]
        actual = np.concatenate([part.actual for part in parts])
        predicted = np.concatenate([part.predicted for part in parts])
        if any(part.probabilities is None for part in parts):
            return cls(actual, predicted, None, parts[0].classes)
        classes = np.unique(np.concatenate([part.classes for part in parts]))
        probabilities = np.zeros((len(actual), len(classes)))
        start = 0
        for part in parts:
            stop = start + len(part.actual)
            probabilities[start:stop, np.searchsorted(classes, part.classes)] = part.probabilities
            start = stop
        return cls(actual, predicted, probabilities, classes)

    def metrics(self, task: str) -> dict[str, float]:
        """Every metric of the task."""
        if task == "regression":
            return regression_metrics(self.actual, self.predicted)
        return classification_metrics(self.actual, self.predicted, self.probabilities, self.classes)


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
    for part in ("train", "holdout"):
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
