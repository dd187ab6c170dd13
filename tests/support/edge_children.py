"""Estimators with bad manners; a module of its own, because servers and workers import it."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Self

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


class Counted(RegressorMixin, BaseEstimator):
    """Counts how often children of its kind are deserialized in this process."""

    loads: ClassVar[Counter[float]] = Counter()

    def fit(self, x: Any, y: Any) -> Self:
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), self.mean_)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        time.sleep(0.01)  # long enough for the other threads to ask for the same child
        self.loads[self.mean_] += 1


class Slow(RegressorMixin, BaseEstimator):
    """Takes as many seconds as its first feature says."""

    def fit(self, x: Any, y: Any) -> Self:
        return self

    def predict(self, x: Any) -> Any:
        time.sleep(float(np.asarray(x)[0, 0]))
        return np.ones(len(x))
