"""A table, the same one a month later, and trainings of a forest on them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    RandomForestRegressor,
)

from metamodel.training.result import TrainingResult
from metamodel.training.train import train

FOREST = RandomForestRegressor(n_estimators=5, max_depth=3)


def table(rows: int = 40, seed: int = 0, shops: str = "ab") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = [pd.DataFrame({"shop": shop, "x": rng.normal(size=rows), "z": rng.normal(size=rows)}) for shop in shops]
    return pd.concat(parts, ignore_index=True).assign(y=lambda f: 3 * f["x"] - f["z"] + rng.normal(0, 0.1, len(f)))


def grown(more: int = 20) -> pd.DataFrame:
    """The table a month later: all old rows, new ones, and a new group."""
    return pd.concat([table(), table(more, seed=1, shops="abc")], ignore_index=True)


def fit(data: Any, estimator: Any = FOREST, **options: Any) -> TrainingResult:
    return train(data, "shop", "y", estimator, **{"n_jobs": 1, "stack": False, **options})
