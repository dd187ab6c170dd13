"""Groups that are linear but for noise, some of which can be marked so that their children fail."""

import numpy as np
import pandas as pd
from children import MARK

from metamodel.training.train import train


def table(groups=4, rows=30):
    """Groups "g0", "g1", ... of equal size, two features and a target that is linear in them but for noise."""
    x = np.random.default_rng(1).normal(size=(groups * rows, 2))
    key = np.repeat([f"g{i}" for i in range(groups)], rows)
    y = x @ [2.0, -1.0] + np.repeat(range(groups), rows) + np.random.default_rng(2).normal(size=len(x))
    return pd.DataFrame({"g": key, "a": x[:, 0], "b": x[:, 1], "y": y})


def marked(*groups, frame=None):
    """The table with one marked row in each of these groups."""
    frame = table() if frame is None else frame
    for group in groups:
        frame.loc[frame.index[frame["g"] == group][0], "a"] = MARK
    return frame


def fit(frame, estimator="linear_regression", **options):
    return train(frame, **({"group_by": "g", "target": "y", "estimator": estimator, "n_jobs": 1} | options))
