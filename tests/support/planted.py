"""Two versions of a model of weekly sales, fresh weeks, the rules of a gate, and faults to plant into the candidate."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.lifecycle.gate import GateReport

KEYS = ["country", "store", "product"]

FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]

# Every kind of rule. Times are left to the test of a slow model, which has a clock of its own.
RULES: dict[str, Any] = {
    "floor": {"skill_median": 0.0, "answered": 0.95},
    "regression": {"metric": "mae", "slices": ["country"], "max": 0.03},
    "groups": {"lost": 0, "worse": 0.02, "failed": 0.01, "fallback_rate_up": 0.01},
    "schema": {"removed": 0, "kind_changed": 0},
    "budget": {"bundle_mb": "1.5x"},
    "minimum_functionality": [{"where": {"promotion": 0}, "predict": ">= 0"}],
    "invariance": [{"change": {"store_name": "shuffle"}, "tolerance": 1e-9}],
    "directional": [{"change": {"price": "+10%"}, "expect": "decrease", "share_of_groups": 0.98}],
}

Fault = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


class Planted(MetaModel):
    """A model whose answers have a fault.

    Parameters
    ----------
    path
        The bundle.
    fault
        Takes a table and the answers to it, and returns the answers that are given.
    repeats
        How often each answer is worked out.
    """

    def __init__(self, path: Path, fault: Fault | None = None, repeats: int = 1) -> None:
        super().__init__(path)
        self._fault = fault
        self._repeats = repeats

    def predict(self, frame: Any, params: Any = None) -> pd.DataFrame:
        """Answer."""
        for _ in range(self._repeats):
            answers = super().predict(frame, params)
        return answers if self._fault is None else self._fault(frame, answers)


@dataclass(frozen=True)
class Versions:
    """The champion's bundle, a candidate's, and rows that came after both were trained."""

    champion: Path
    candidate: Path
    fresh: pd.DataFrame

    def gate(self, rules: dict[str, Any] | None = None, **faults: Any) -> GateReport:
        """Judge the candidate with a fault."""
        return metamodel.gate(Planted(self.candidate, **faults), self.fresh, self.champion, rules or RULES)


def panel(stores: int = 40, products: int = 5, seed: int = 0) -> pd.DataFrame:
    """Make weekly sales, with a column that is no feature, and one that tells nothing."""
    sales = metamodel.datasets.make_store_sales(stores, products, 120, broken=False, random_state=seed)
    noise = np.random.default_rng(seed).normal(size=len(sales))
    return sales.assign(store_name=[f"shop {store}" for store in sales["store"]], weekday=noise)


def train(table: pd.DataFrame, path: Path, **options: Any) -> Path:
    """Train a version."""
    given = {
        "features": [*FEATURES, "weekday"],
        "estimator": "ridge",
        "pooled": False,
        "time_column": "week",
        **options,
    }
    result = metamodel.train(table, KEYS, "units", n_jobs=1, output_dir=path, unknown="fallback", prune=False, **given)
    return result.bundle_path


def weeks(table: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    """Cut out some weeks."""
    moments = np.sort(table["week"].unique())
    return table[table["week"].isin(moments[start:stop])].reset_index(drop=True)
