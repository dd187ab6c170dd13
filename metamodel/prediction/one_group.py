"""What the pooled model is to one group: an estimator of the features alone."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from metamodel.common.arrays import AnyArray

__all__ = ["OneGroup"]


class OneGroup(BaseEstimator):
    """The pooled model as one group's own estimator; fitted already.

    Parameters
    ----------
    estimator
        The pooled model's.
    features
        Names of the features, in order.
    group
        Group column → the text that it holds for this group.
    """

    def __init__(self, estimator: Any, features: list[str], group: dict[str, str]) -> None:
        self.estimator = estimator
        self.features = features
        self.group = group

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> AnyArray:
        """Labels, of a classifier."""
        return self.estimator.classes_

    def predict(self, x: Any) -> AnyArray:
        """Predict rows of this group."""
        return np.asarray(self.estimator.predict(self._told(x)))

    def predict_proba(self, x: Any) -> AnyArray:
        """Give probabilities, in the order of `classes_`."""
        return np.asarray(self.estimator.predict_proba(self._told(x)))

    def _told(self, x: Any) -> pd.DataFrame:
        frame = x[self.features] if isinstance(x, pd.DataFrame) else pd.DataFrame(np.asarray(x), columns=self.features)
        return frame.assign(**self.group)
