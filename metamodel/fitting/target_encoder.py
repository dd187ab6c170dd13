"""A target encoder that small groups can be fitted with, and that encodes the same rows alike every time."""

from collections import Counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import TargetEncoder

from metamodel.common.arrays import AnyArray

__all__ = ["GroupTargetEncoder"]

_FOLDS = 5


class GroupTargetEncoder(TargetEncoder):
    """scikit-learn's target encoder, with folds of a fixed seed, and without folds where there are too few rows.

    Training rows are encoded in folds, so that no row is encoded by its own target. The base class refuses fewer rows
    (or rows of each class) than folds; such a group is encoded as a whole, and its levels are drawn to the mean anyway.
    How the base class is told its seed changes with scikit-learn 1.9.

    A level that no other fold knows is encoded by the mean of all rows, as an unknown one is later. By the mean of the
    other folds, as the base class does, it would tell the mean of its own fold with the sign turned: a column of order
    numbers got a large negative weight, which spoilt the answers for every row that had been seen in training.
    """

    def fit_transform(self, X: Any, y: Any) -> AnyArray:
        """Fit, and encode the training rows."""
        self.fit(X, y)
        classes = self.target_type != "continuous"
        if (min(Counter(y).values()) if classes else len(y)) < _FOLDS:
            return np.asarray(self.transform(X))
        folds = (StratifiedKFold if classes else KFold)(_FOLDS, shuffle=True, random_state=0)
        x, y = np.asarray(X, dtype=object), np.asarray(y)
        encoded = [(test, self._of_others(x[train], y[train]).transform(x[test])) for train, test in folds.split(x, y)]
        order = np.argsort(np.concatenate([test for test, _ in encoded]))
        return np.concatenate([values for _, values in encoded])[order]

    def _of_others(self, X: AnyArray, y: AnyArray) -> "GroupTargetEncoder":
        others = clone(self).fit(X, y)
        others.target_mean_ = self.target_mean_
        return others
