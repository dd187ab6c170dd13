"""Groups of two regions around one line, and trainings that blend them."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import metamodel

FEATURES = ["x", "z"]


def table(groups=12, rows=40):
    """Groups of two regions around one line, with noise of their own."""
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(groups), rows)
    frame = pd.DataFrame(rng.normal(size=(len(number), 2)), columns=FEATURES)
    slope = 1 + 0.1 * rng.normal(size=groups)
    y = slope[number] * frame["x"] + frame["z"] + 2 * rng.normal(size=len(frame))
    keep = rng.random(len(frame)) < 0.3 + 0.6 * (number % 2)
    return frame.assign(region=np.where(number < groups // 2, "A", "B"), shop=number, y=y)[keep]


FRAME = table()


def fit(frame=FRAME, estimator=None, **options):
    estimator = estimator or LinearRegression()
    options = {"features": FEATURES, "n_jobs": 1, "shrinkage": "relative", **options}
    return metamodel.train(frame, ["region", "shop"], "y", estimator, **options)
