"""Pairs of estimators that differ in one thing: the first of each writes into the rows that it is given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler


def halve_in_place(x: Any) -> Any:
    if isinstance(x, pd.DataFrame):
        x.loc[:, "temperature"] = x["temperature"] / 2
    else:
        x[:, 0] /= 2
    return x


def halve(x: Any) -> Any:
    return halve_in_place(x.copy())


PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "standardized": (lambda: StandardScaler(copy=False), lambda: StandardScaler()),
    "robust": (lambda: RobustScaler(copy=False), lambda: RobustScaler()),
    "function": (lambda: FunctionTransformer(halve_in_place), lambda: FunctionTransformer(halve)),
}


def pair(name: str, last: Callable[[], Any]) -> tuple[Any, Any]:
    """Pipelines with the same last step: one that writes into its rows, and one that does not."""
    return tuple(make_pipeline(step(), last()) for step in PAIRS[name])  # type: ignore[return-value]


def days(n_features: int = 2, rows: int = 120) -> pd.DataFrame:
    """Hours of sun at two stations."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"station": np.repeat(["north", "south"], rows // 2)})
    table["temperature"] = rng.normal(15, 8, rows)
    if n_features > 1:
        table["wind"] = rng.gamma(2, 3, rows)
    table["sun"] = 0.3 * table["temperature"] + rng.normal(size=rows)
    table["bright"] = np.where(table["sun"] > table["sun"].median(), "bright", "dull")
    return table
