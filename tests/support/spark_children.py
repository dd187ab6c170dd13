"""Children that tell what happens to them in a Spark worker; a module of its own, because the workers import it."""

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge


class RecordingRidge(Ridge):
    """Writes a line whenever it is unpickled, and whenever it predicts inside a Spark task."""

    def __init__(self, journal: str = "", alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)
        self.journal = journal

    def fit(self, x: Any, y: Any) -> "RecordingRidge":
        self.name_ = f"{float(np.mean(y)):.6f}"  # every group has a mean of its own
        return super().fit(x, y)

    def predict(self, x: Any) -> Any:
        from pyspark import TaskContext

        task = TaskContext.get()
        if task is not None:
            self._write("predict", task.partitionId())
        return super().predict(x)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._write("load", "")

    def _write(self, what: str, where: object) -> None:
        with Path(self.journal).open("a") as journal:  # one short line in append mode is written whole
            journal.write(f"{what},{os.getpid()},{self.name_},{where}\n")


class FussyRidge(Ridge):
    """Raises on a negative value, and predicts NaN for a huge one."""

    def predict(self, x: Any) -> Any:
        values = np.asarray(x, dtype=float)
        if (values < 0).any():
            raise ValueError("negative values are not for me")
        return np.where((values > 1e6).any(axis=1), np.nan, super().predict(x))


class PassedOver(RegressorMixin, BaseEstimator):
    """Predicts how many objects the collector passes over, where it was fitted or where it predicts, whichever less."""

    def fit(self, x: Any, y: Any) -> "PassedOver":
        self.at_fit_ = gc.get_freeze_count()
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), float(min(self.at_fit_, gc.get_freeze_count())))


class SlowRidge(Ridge):
    """Takes its time, writes down which process fitted which group, and refuses a process that imported MLflow."""

    def __init__(self, journal: str = "", seconds: float = 0.0, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)
        self.journal = journal
        self.seconds = seconds

    def fit(self, x: Any, y: Any) -> "SlowRidge":
        if "mlflow" in sys.modules:
            raise RuntimeError("a worker that trains has imported MLflow")
        time.sleep(self.seconds)
        with Path(self.journal).open("a") as journal:
            journal.write(f"{os.getpid()},{os.getppid()},{np.mean(y):.3f}\n")
        return super().fit(x, y)
