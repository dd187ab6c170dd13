"""Rows of the ledger as the report takes them."""

from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray

__all__ = ["ENOUGH_ROWS", "EXAMPLES", "floats", "records"]

# Groups that are shown as examples.
EXAMPLES = 8

# A group that is judged on fewer rows may be lucky.
ENOUGH_ROWS = 5


def floats(frame: pd.DataFrame, name: str) -> AnyArray:
    """Give one column as floats, shape (n_rows,)."""
    values: AnyArray = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give each row as a dict, for the page's template."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict(orient="records")]
