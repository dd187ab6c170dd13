"""Matrices, a table of three stores, and estimators of trees for the tests of stacks."""

import numpy as np
import pandas as pd
import pytest
from stacked import NAMES


def xgb(kind, **options):
    return getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(**{"n_jobs": 1, "max_depth": 3, **options})


def matrix(seed, missing=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def table():
    x = np.concatenate([matrix(seed) for seed in range(3)])
    return pd.DataFrame(x, columns=NAMES).assign(y=x[:, 0] ** 2 + x[:, 1], store=np.repeat(["p", "q", "r"], 60))
