"""A table of many groups with numbers, ties, gaps and categories, to be compared."""

import numpy as np
import pandas as pd

from metamodel.evaluation.drift.drift_columns import DriftColumns


def drift_table(seed: int, rows: int = 600, n_groups: int = 7) -> tuple[DriftColumns, np.ndarray, np.ndarray]:
    """Columns, group of each row (-1 for none), and times."""
    rng = np.random.default_rng(seed)
    zeros = np.where(rng.random(rows) < 0.7, 0.0, rng.lognormal(size=rows))
    columns = {
        "price": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
        "sold": zeros,
        "shop": pd.Series(rng.choice(list("abcdefghijklmn"), rows), dtype=object).mask(rng.random(rows) < 0.1),
    }
    return DriftColumns.of(columns), rng.integers(-1, n_groups, rows), rng.integers(0, 50, rows)
