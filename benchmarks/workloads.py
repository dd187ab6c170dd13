"""What the benchmarks measure: families of children, tables of rows, bundles on disk, the children by themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metamodel
from metamodel.model import MetaModel

FEATURES = [f"x{i}" for i in range(10)]
KEY = "store"

FAMILIES: dict[str, Callable[[], Any]] = {
    "ridge": Ridge,
    "scaler_ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "logistic": LogisticRegression,
    "forest": lambda: RandomForestRegressor(n_estimators=20, n_jobs=1),
    "forest_100": lambda: RandomForestRegressor(n_estimators=100, n_jobs=1),
    "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(max_iter=10, early_stopping=False),
    "neighbors": KNeighborsRegressor,  # never stacked: shows what routing alone costs
}


@dataclass(frozen=True)
class Workload:
    """One family over many groups, and a mixed batch for it.

    Parameters
    ----------
    family, groups
        Which children, and how many.
    frame
        The batch: a string key and ten float features, rows in random order.
    codes
        Shape (n_rows,): which group each row belongs to.
    path
        The bundle.
    """

    family: str
    groups: int
    frame: pd.DataFrame
    codes: np.ndarray
    path: Path

    def children(self, limit: int, *, named: bool = False) -> dict[str, Any]:
        """Load the children of the first groups by hand, as a dict of models holds them.

        With `named` they know their features' names, as children do that were fitted on frames, and take frames.
        """
        model = MetaModel(self.path)
        load = model.child if named else lambda name: model.bundle.fresh_child((name,))
        return {name: load(name) for name in names(min(limit, self.groups))}

    def first_groups(self, limit: int) -> tuple[pd.DataFrame, float]:
        """Rows of the first groups, and what their time has to be multiplied by to estimate all rows."""
        if limit >= self.groups:
            return self.frame, 1.0
        part = self.frame[self.codes < limit]
        return part, len(self.frame) / max(1, len(part))


def names(groups: int) -> list[str]:
    return [f"store-{i:05d}" for i in range(groups)]


def bundle(family: str, groups: int, train_rows: int, root: Path) -> Path:
    """Train once; later runs with the same numbers find the bundle."""
    path = root / f"{family}-{groups}-{train_rows}"
    if path.is_dir():
        return path
    rng = np.random.default_rng(0)
    n_rows = groups * train_rows
    x = rng.normal(size=(n_rows, len(FEATURES)))
    slopes = rng.normal(size=(groups, len(FEATURES)))
    codes = np.repeat(np.arange(groups), train_rows)
    y = (x * slopes[codes]).sum(axis=1) + rng.normal(size=n_rows)
    table = pd.DataFrame(x, columns=FEATURES)
    table[KEY] = np.array(names(groups), dtype=object)[codes]
    table["y"] = y > 0 if family == "logistic" else y
    estimator = FAMILIES[family]()
    metamodel.train(table, KEY, "y", estimator=estimator, holdout=0, n_jobs=2, stack=True, output_dir=path)
    return path


def workload(family: str, groups: int, rows: int, traffic: str, train_rows: int, root: Path) -> Workload:
    """Build a batch of `rows` rows over `groups` groups, uniform or Zipf."""
    rng = np.random.default_rng(1)
    if traffic == "zipf":
        weights = 1 / np.arange(1, groups + 1)
        codes = rng.choice(groups, rows, p=weights / weights.sum())
    else:
        codes = rng.integers(0, groups, rows)
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in FEATURES})
    frame.insert(0, KEY, np.array(names(groups), dtype=object)[codes])
    return Workload(family, groups, frame, codes, bundle(family, groups, train_rows, root))
