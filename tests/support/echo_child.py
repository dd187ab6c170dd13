"""A child whose answer tells two forms of one value apart: dtypes, categories, units and the type of every cell."""

import zlib

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin


class Echo(RegressorMixin, BaseEstimator):
    """Answers each row with a number made of all that it sees of it."""

    def fit(self, x, y):
        self.fitted_ = True
        return self

    def predict(self, x: pd.DataFrame):
        dtypes = [repr(dtype) for dtype in x.dtypes]
        cells = zip(*(x[name].astype(object).tolist() for name in x), strict=True)
        return np.array([zlib.crc32(repr((dtypes, row)).encode()) for row in cells], dtype=np.float64)
