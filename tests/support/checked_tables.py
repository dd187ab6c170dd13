"""A clean table, one with a fault of every kind, one that leaks within single groups, and trainings of them."""

from typing import Any

import numpy as np
import pandas as pd

from metamodel.training.result import TrainingResult
from metamodel.training.train import train


def clean(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    shop = np.array(["a", "b", "c"])[np.arange(rows) % 3]
    return pd.DataFrame(
        {"shop": shop, "x": rng.normal(size=rows), "z": rng.normal(size=rows), "y": rng.normal(size=rows)}
    )


def spoiled() -> pd.DataFrame:
    """One fault of every kind."""
    frame = clean()
    return frame.assign(
        shop=frame["shop"].where(frame.index % 6 != 1, " B "),
        fixed=1.0,
        empty=np.nan,
        wild=np.where(frame.index == 5, np.inf, frame["x"]),
        double=2 * frame["y"] - 7,
        opposite=-frame["y"].astype("float32"),
    )


EXPECTED = {
    ("keys", ("shop",)),
    ("constant", ("fixed",)),
    ("null", ("empty",)),
    ("infinite", ("wild",)),
    ("leakage", ("double",)),
    ("leakage", ("opposite",)),
}


def fit(frame: Any, **options: Any) -> TrainingResult:
    return train(frame, "shop", "y", "decision_tree", n_jobs=1, **options)


def shops(kind: str) -> pd.DataFrame:
    """Four shops; in one the revenue is the units times a constant price, in another the tag is the label."""
    rng = np.random.default_rng(1)
    shop = np.repeat([7, 8, 9, 10], 60)
    units = rng.poisson(30, 240).astype(float)
    price = np.where(shop == 9, 2.5, rng.uniform(1, 3, 240))
    frame = pd.DataFrame({"shop": shop, "x": rng.normal(size=240), "y": units, "revenue": price * units})
    frame.loc[3, ["y", "revenue"]] = np.nan
    if kind == "numbers":
        return frame
    label = np.where(units > 30, "many", "few")
    tag = np.where(shop == 10, label, rng.permutation(label))
    return frame[["shop", "x"]].assign(y=label, tag=tag)
