"""A small table with columns of every role, and plans of it."""

import numpy as np
import pandas as pd

from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan

RNG = np.random.default_rng(0)


FRAME = pd.DataFrame(
    {
        "country": ["FR", "FR", "DE", "DE", "DE", "IT"],
        "store": [1, 2, 1, 1, 2, 1],
        "week": pd.date_range("2026-01-01", periods=6),
        "price": RNG.normal(size=6),
        "town": list("abcabc"),
        "units": RNG.normal(size=6),
    }
)


def plan(frame=FRAME, estimator="ridge", estimator_params=None, features=("price", "town"), **options):
    options = {"group_by": ["country", "store"], "target": "units"} | options
    return make_plan(frame, TrainingOptions.create(**options), estimator, estimator_params, features)


def keys(made):
    return [group.key for group in made.groups()]
