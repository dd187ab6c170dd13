"""Named estimators behind what a small table needs."""

import numpy as np
import pandas as pd

from metamodel.fitting.estimators import resolve
from metamodel.fitting.preprocessing import with_preprocessing
from metamodel.tables.features import FeatureSchema

NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [1.0, 0.0, 1.0, 0.0]})


Y = np.array([0.0, 1.0, 2.0, 3.0])


def schema(frame):
    return FeatureSchema.infer(frame, list(frame))


def prepared(name, estimator, features, missing, levels=None, task="regression"):
    return with_preprocessing(name, estimator, features, missing, levels or {}, task)


SCALED = ["elastic_net", "huber", "lasso", "logistic_regression", "nearest_neighbors", "poisson", "svm"]


def wide(rows=400, levels=5):
    rng = np.random.default_rng(0)
    towns = [f"t{i:04}" for i in range(levels)]
    towns = rng.choice(towns, rows).astype(object)
    return pd.DataFrame({"x": rng.normal(size=rows) * 1000, "town": towns, "area": rng.choice(["a", "b"], rows)})


def transformed(name, frame, levels, task="regression", y=None):
    plain = resolve(name, {}, task, 0)
    built = prepared(name, plain, schema(frame), set(), levels, task)
    y = np.arange(len(frame)) % 7.0 if y is None else y
    return built.fit(frame, y), built[:-1].transform(frame)
