"""Children whose answer tells two forms of one value apart: dtypes, categories, units and the type of every cell."""

import zlib

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


def seen(x: pd.DataFrame) -> list[str]:
    """All that a child can see of each row."""
    dtypes = [repr(dtype) for dtype in x.dtypes]
    cells = zip(*(x[name].astype(object).tolist() for name in x), strict=True)
    return [repr((dtypes, row)) for row in cells]


class _Echo(BaseEstimator):
    def fit(self, x, y, sample_weight=None):
        self.fitted_on_ = zlib.crc32(repr((seen(x), list(y), sample_weight)).encode())
        return self

    def _numbers(self, x):
        return np.array([zlib.crc32(f"{self.fitted_on_} {row}".encode()) for row in seen(x)], dtype=np.float64)


class Echo(RegressorMixin, _Echo):
    """Answers each row with a number made of all that it sees of it, and of the rows that it was fitted on."""

    def predict(self, x):
        return self._numbers(x)


class EchoLabels(ClassifierMixin, _Echo):
    """Answers each row with probabilities of the labels made of all that it sees."""

    def fit(self, x, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return super().fit(x, y, sample_weight)

    def predict_proba(self, x):
        shares = np.column_stack([self._numbers(x) % (97 + i) + 1 for i in range(len(self.classes_))])
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, x):
        return self.classes_[self.predict_proba(x).argmax(axis=1)]
