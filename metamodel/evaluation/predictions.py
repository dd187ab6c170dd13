"""Predictions of some rows beside what came true, pooled over folds, and what each row costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.metrics import METRICS, classification_metrics, log_losses, regression_metrics

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """A child's predictions of some rows, beside what came true.

    Attributes
    ----------
    actual, predicted
        Target, shape (n_rows,).
    probabilities
        Shape (n_rows, n_classes), or None where the child gives none.
    classes
        The classes of its columns.
    weights
        Weight of each row, shape (n_rows,), or None for equal ones.
    """

    actual: AnyArray
    predicted: AnyArray
    probabilities: AnyArray | None
    classes: AnyArray
    weights: AnyArray | None = None

    @classmethod
    def pooled(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """Put the rows of several folds behind one another."""
        if len(parts) == 1:
            return parts[0]
        actual = np.concatenate([part.actual for part in parts])
        predicted = np.concatenate([part.predicted for part in parts])
        given = [part.weights for part in parts if part.weights is not None]
        weights = np.concatenate(given) if given else None
        if any(part.probabilities is None for part in parts):
            return cls(actual, predicted, None, parts[0].classes, weights)
        classes = np.unique(np.concatenate([part.classes for part in parts]))
        probabilities = np.zeros((len(actual), len(classes)))
        start = 0
        for part in parts:
            stop = start + len(part.actual)
            probabilities[start:stop, np.searchsorted(classes, part.classes)] = part.probabilities
            start = stop
        return cls(actual, predicted, probabilities, classes, weights)

    def part(self, rows: slice) -> "Predictions":
        """Keep some of the rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Predictions(self.actual[rows], self.predicted[rows], probabilities, self.classes, weights)

    def metrics(self, task: str) -> dict[str, float]:
        """Every metric of the task."""
        if task == "regression":
            return regression_metrics(self.actual, self.predicted, self.weights)
        return classification_metrics(self.actual, self.predicted, self.probabilities, self.classes, self.weights)

    def losses(self, metric: str) -> AnyArray:
        """Each row's share in a metric, shape (n_rows,); less is better.

        RMSE and R² are made of squared errors. Macro F1 is no mean over rows; a row counts as for accuracy.
        """
        if metric == "log_loss" and self.probabilities is not None:
            return log_losses(self.actual, self.probabilities, self.classes)
        if metric not in METRICS["regression"]:
            return (self.actual != self.predicted).astype(np.float64)
        error = np.abs(self.predicted - self.actual)
        return error if metric == "mae" else error**2
