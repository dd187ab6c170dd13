"""What a child must beat to be worth its name: answers that need no model.

The mean (of labels: the most frequent one) needs no time column; with one there is also the last value, and with a
season's length the value one season ago (R. J. Hyndman and G. Athanasopoulos, *Forecasting: Principles and Practice*,
section "Some simple forecasting methods"). Plain NumPy: a scikit-learn dummy costs as much as a small Ridge.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.splits import Fold
from metamodel.fitting.group import GroupData

__all__ = ["baselines"]


def baselines(group: GroupData, folds: Sequence[Fold], task: str, season: int) -> Iterator[tuple[str, Predictions]]:
    """Answer the test rows of all folds without a model.

    Parameters
    ----------
    group
        The group's rows.
    folds
        Training and test rows; with times, every training row is older than every test row.
    task
        "regression" or "classification".
    season
        Length of a season in time steps of the group; 0 for none.

    Yields
    ------
    tuple of str and Answers
        "mean" or "majority"; with times also "last" and, where the group has a season of training rows, "seasonal".
    """
    known = _Known(group, task)
    here = np.zeros(len(group.y), dtype=np.int64)
    yield from _one("mean" if task == "regression" else "majority", known, folds, here, None)
    if group.times is None:
        return
    steps, positions = np.unique(group.times, return_inverse=True)
    yield from _one("last", known, folds, positions, 1)
    if 0 < season < len(steps):
        yield from _one("seasonal", known, folds, positions, season)


class _Known:
    """The rows of a group, and averages of their targets; that of labels is the share of each class."""

    def __init__(self, group: GroupData, task: str) -> None:
        self.y = group.y
        self.weights = group.weights
        self._given = np.ones(len(group.y)) if group.weights is None else group.weights
        self.classes, self._codes = np.empty(0), group.y
        if task == "classification":
            self.classes, self._codes = np.unique(group.y, return_inverse=True)

    def averages(self, train: BoolArray, slots: IntArray, n_slots: int) -> tuple[AnyArray, BoolArray]:
        """Average the training rows of each slot, shape (n_slots, n_values), and say which slots have any."""
        slots, codes, weights = slots[train], self._codes[train], self._given[train]
        total = np.bincount(slots, weights, n_slots)
        if len(self.classes):
            width = len(self.classes)
            sums = np.bincount(slots * width + codes, weights, n_slots * width).reshape(n_slots, width)
        else:
            sums = np.bincount(slots, weights * codes, n_slots).reshape(n_slots, 1)
        filled = total > 0
        return sums / np.where(filled, total, 1).reshape(-1, 1), filled

    def answers(self, test: BoolArray, averages: AnyArray) -> Predictions:
        """Answer the test rows with one average each."""
        actual, weights = self.y[test], None if self.weights is None else self.weights[test]
        if not len(self.classes):
            return Predictions(actual, averages[:, 0], None, self.classes, weights)
        return Predictions(actual, self.classes[averages.argmax(axis=1)], averages, self.classes, weights)


def _one(
    name: str, known: _Known, folds: Sequence[Fold], slots: IntArray, lag: int | None
) -> Iterator[tuple[str, Predictions]]:
    """Answer all folds by the average of the slot that lies a whole number of lags before; nothing if one has none."""
    parts = []
    for train, test in folds:
        wanted = slots[test]
        first = int(wanted.min())
        source = wanted if lag is None else wanted - lag * ((wanted - first) // lag + 1)
        if source.min() < 0:
            return
        averages, filled = known.averages(train, slots, 1 if lag is None else first)
        if not filled[source].all():
            return
        parts.append(known.answers(test, averages[source]))
    yield name, Predictions.pooled(parts)
