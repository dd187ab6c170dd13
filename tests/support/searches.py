"""One group, what is tuned in it, and how its search went: for the tests of tuning."""

import numpy as np

from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec, TuningSpec
from metamodel.fitting.tuning import read_space, spaces_of, tune


def group_of(rows=80, times=False, task="regression", random_state=0):
    rng = np.random.default_rng(random_state)
    x = rng.normal(size=(rows, 3))
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=rows)
    hashes = rng.integers(0, 2**64, rows, dtype=np.uint64)
    y = y if task == "regression" else np.where(y > 0, "yes", "no").astype(object)
    return GroupData(("g",), x, y, hashes, np.arange(rows, dtype=float) if times else None)


def spec_of(estimator, space, task="regression", holdout=0.2, **settings):
    candidates = (Candidate("child", estimator, *label_and_params(estimator)),)
    tuning = TuningSpec(spaces_of(read_space({"child": space}), candidates), **{"trials": 8, **settings})
    dtype = "float64" if task == "regression" else "object"
    return FitSpec(task, candidates, holdout, target_dtype=dtype, tuning=tuning)


def searched(group, spec, search):
    records = []
    tune(group, spec, search, records)
    return records


ALPHA = {"alpha": (1e-3, 1e3, "log")}
