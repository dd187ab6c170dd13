"""A child that says of each row whether its fit saw the row's first feature: never, where a split leaks nothing."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

__all__ = ["SeenBefore"]


class SeenBefore(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Trained on targets of 0, so that its mean absolute error is the share of rows whose first feature it knows."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        first = np.asarray(X)[:, 0]
        if groups is not None and not (np.asarray(groups) == first).all():
            raise ValueError("groups are not those of the rows")
        self.had_groups_ = groups is not None
        self.seen_ = np.unique(first)
        return self

    def predict(self, X: Any) -> Any:
        return np.isin(np.asarray(X)[:, 0], self.seen_).astype(float)
