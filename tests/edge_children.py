"""Estimators with bad manners; a module of its own, because servers and workers import it."""

import os
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class Moody(RegressorMixin, BaseEstimator):
    """Predicts the mean of its target (NaN for a mean of -1, infinity for -2), and raises at a negative x."""

    def fit(self, x: Any, y: Any) -> Self:
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: Any) -> Any:
        x = np.asarray(x)
        if (x < 0).any():
            raise ValueError(f"cannot predict {x!r}")
        return np.full(len(x), {-1.0: np.nan, -2.0: np.inf}.get(self.mean_, self.mean_))


class Hopeless(RegressorMixin, BaseEstimator):
    """Fits nothing."""

    def fit(self, x: Any, y: Any) -> Self:
        raise ValueError("no group pleases me")

    def predict(self, x: Any) -> Any:
        raise AssertionError("never fitted")


class Endless(RegressorMixin, BaseEstimator):
    """Writes its process's number into a folder, and then fits for as long as it is let."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def fit(self, x: Any, y: Any) -> Self:
        unfinished = Path(self.folder) / f".{os.getpid()}"
        unfinished.touch()
        unfinished.rename(Path(self.folder) / str(os.getpid()))
        time.sleep(600)
        return self

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x))
