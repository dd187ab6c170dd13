"""Held-out rows of children and their parents, as the calibration of intervals takes them."""

import numpy as np
import pandas as pd

from metamodel.evaluation.holdout import child_ids
from metamodel.tables.keys import decode_key, encode_key


def holdout(sizes, *, seed=0, drift=0.0, time=False):
    """Held-out rows of children, and what two levels of parents said of them, each with an error of its own."""
    rng = np.random.default_rng(seed)
    keys = [key for key, size in sizes.items() for _ in range(size)]
    number = np.concatenate([np.arange(size) for size in sizes.values()] or [[]])
    actual = rng.normal(size=len(keys))
    table = pd.DataFrame(
        {
            "key": pd.Categorical([encode_key(key) for key in keys]),
            "row": rng.integers(0, 2**64, len(keys), dtype=np.uint64),
            "actual": actual,
            "predicted": actual + rng.normal(size=len(keys)) * np.exp(drift * number),
            "predicted_by_level_1": actual + 3 * rng.normal(size=len(keys)),
            "predicted_by_global": actual + 5 * rng.normal(size=len(keys)),
        }
    )
    return table.assign(time=number) if time else table


def by_level(table):
    """Tables of children and of parents, each parent with the same rows held back as its children."""
    tables = {2: table}
    keys = [decode_key(key) for key in table["key"].astype(str)]
    for level, column in ((1, "predicted_by_level_1"), (0, "predicted_by_global")):
        if column in table:
            parents = pd.Categorical([encode_key(key[:level]) for key in keys])
            tables[level] = table.assign(key=parents, child=child_ids(keys), predicted=table[column])
    return tables
