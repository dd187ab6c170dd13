"""Estimators with one fault each, in a module of their own so that worker processes can import them."""

import os
import signal
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from joblib.externals.loky import process_executor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

# Rows of a group that an estimator below shall stumble over carry this value in their first feature.
MARK = 666.0
# No process survives a fit on such a row.
FATAL = -666.0


class RaisesOnMark(LinearRegression):
    """Cannot be fitted on a marked row."""

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == MARK).any():
            raise ValueError("this group is marked\nand there is more to say")
        return super().fit(X, y)


class RaisesOnPredict(LinearRegression):
    """Fits, but never predicts."""

    def predict(self, X):
        raise RuntimeError("no prediction today")


class Warns(LinearRegression):
    """Warns while it is fitted."""

    def fit(self, X, y):
        warnings.warn("the matrix is nearly singular", RuntimeWarning, stacklevel=2)
        return super().fit(X, y)


class HoldsPipe(LinearRegression):
    """Says by a pipe that it is at work, and holds it open for so many seconds."""

    def __init__(self, pipe="", seconds=0.0):
        super().__init__()
        self.pipe = pipe
        self.seconds = seconds

    def fit(self, X, y):
        with Path(self.pipe).open("ab", buffering=0) as pipe:
            pipe.write(b"at work\n")
            time.sleep(self.seconds)
        return super().fit(X, y)


class Exits(LinearRegression):
    """Ends the program, as a script does, or raises another error that is no `Exception`."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def fit(self, X, y):
        raise SystemExit(3) if self.error is None else self.error


class HoldsLock(LinearRegression):
    """Cannot be serialized once it has seen a marked row."""

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == MARK).any():
            self.lock_ = threading.Lock()
        return super().fit(X, y)


class SpeaksSurrogates(LinearRegression):
    """Raises with a text that no file can hold."""

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == MARK).any():
            raise ValueError("bad name \ud800")
        return super().fit(X, y)


class KillsWorker(LinearRegression):
    """Ends its process on a marked row: always, or only where the file `once` does not exist yet."""

    def __init__(self, once=None):
        super().__init__()
        self.once = once

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == MARK).any() and (self.once is None or not Path(self.once).exists()):
            if self.once is not None:
                Path(self.once).touch()
            os._exit(1)
        return super().fit(X, y)


class RetiresWorker(LinearRegression):
    """Makes joblib replace the process it is fitted in after its task, as one whose memory grew by 300 MB.

    Each such process leaves a file in the folder `seen`.
    """

    def __init__(self, seen=None):
        super().__init__()
        self.seen = seen

    def fit(self, X, y):
        Path(self.seen, str(os.getpid())).touch()
        process_executor._MAX_MEMORY_LEAK_SIZE = 0
        process_executor._MEMORY_LEAK_CHECK_DELAY = -1
        return super().fit(X, y)


class KillsParent(LinearRegression):
    """Ends the process that started its own on a marked row, as the kernel does when memory runs out."""

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == MARK).any():
            os.kill(os.getppid(), signal.SIGKILL)
        return super().fit(X, y)


class Duck:
    """Follows scikit-learn's conventions without deriving from it."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def get_params(self, deep=True):
        return {"shift": self.shift}

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) + self.shift
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class LastRow(RegressorMixin, BaseEstimator):
    """Answers with the target of the last row that it was fitted on, as methods for time series do."""

    def fit(self, X, y):
        self.last_ = float(y[-1])
        return self

    def predict(self, X):
        return np.full(len(X), self.last_)


class NeedsScale(RegressorMixin, BaseEstimator):
    """Cannot be built without a parameter."""

    def __init__(self, scale):
        self.scale = scale

    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) * self.scale
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


not_a_class = 7


class FailsAbove(LinearRegression):
    """Cannot be fitted where its parameter is above 0.5; where it is above 0.9, its process ends on a marked row."""

    def __init__(self, level=0.0):
        super().__init__()
        self.level = level

    def fit(self, X, y):
        if (np.asarray(X)[:, 0] == FATAL).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.level > 0.9 and (np.asarray(X)[:, 0] == MARK).any():
            os._exit(1)
        if self.level > 0.5:
            raise ValueError("the level is too high\nand there is more to say")
        return super().fit(X, y)


class FailsOnAll(FailsAbove):
    """Can be fitted on parts of a group of 80 rows, and not on all of them."""

    def fit(self, X, y):
        if len(X) >= 80:
            raise ValueError("too many rows")
        return super().fit(X, y)


class Spins(LinearRegression):
    """Never comes back where its parameter says so."""

    def __init__(self, spinning=False):
        super().__init__()
        self.spinning = spinning

    def fit(self, X, y):
        while self.spinning:
            time.sleep(0.001)
        return super().fit(X, y)


class Sleeps(LinearRegression):
    """Takes its time, in steps that an alarm can interrupt."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.seconds = seconds

    def fit(self, X, y):
        time.sleep(self.seconds)
        return super().fit(X, y)
