"""Trained models for the tests of the report: an ordinary one and the odd ones."""

from pathlib import Path

import numpy as np
import pandas as pd
from children import MARK, RaisesOnMark
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.datasets import make_store_sales
from metamodel.training.result import TrainingResult

ODD_NAMES = ["<script>alert(1)</script>", "a&b \"q\" 'x'", "x" * 300, "", "\n\t"]
FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]


class SometimesInfinite(LinearRegression):
    """Predicts infinity for large values of its first feature."""

    def predict(self, X):
        return np.where(np.asarray(X)[:, 0] > 1, np.inf, super().predict(X))


def small(classes: bool = False) -> pd.DataFrame:
    """Five groups with odd names, 40 rows each."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    y = 2 * frame["a"] + rng.normal(size=200)
    return frame.assign(g=np.repeat(ODD_NAMES, 40), y=np.where(y > 0, "</style><b>yes", "no") if classes else y)


def train(kind: str, directory: Path) -> TrainingResult:
    """Train one of `KINDS`; none takes longer than a second or two."""
    options = {"n_jobs": 1, "output_dir": directory / kind}
    if kind == "forecast":
        sales = make_store_sales(n_stores=4, n_products=3)
        keys = ["country", "store", "product"]
        options |= {"features": FEATURES, "time_column": "week", "unknown": "fallback", "prune": False, "interval": 0.9}
        return metamodel.train(sales, keys, "units", **options)
    frame, estimator = small(kind == "classes"), LinearRegression()
    if kind == "classes":
        estimator = RandomForestClassifier(5)
    if kind == "one survivor":
        frame.loc[(frame["g"] != "") & ~frame["g"].duplicated(), "a"] = MARK
        estimator = RaisesOnMark()
    if kind == "infinite":
        estimator = SometimesInfinite()
    unknown = "null" if kind in ("no holdout", "one survivor") else "fallback"
    holdout = 0 if kind == "no holdout" else 0.2
    return metamodel.train(frame, "g", "y", estimator, unknown=unknown, holdout=holdout, prune=False, **options)


KINDS = ["forecast", "odd names", "classes", "no holdout", "one survivor", "infinite"]
