"""Answers as a DataFrame of pandas, which of a few rows costs as much as answering them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray

__all__ = ["TEXT", "answer_frame", "as_texts"]

# pandas' own dtype for text (object, since pandas 3 str), fixed here because pandas guesses from the values otherwise.
TEXT = pd.Series(["text"]).dtype


def as_texts(values: Any) -> Any:
    """Give texts the dtype that pandas has for them."""
    return np.asarray(values, dtype=object) if isinstance(TEXT, np.dtype) else pd.array(values, dtype=TEXT)


def answer_frame(columns: Mapping[str, Any], index: pd.Index) -> pd.DataFrame:
    """Put arrays into one table without a copy of them.

    Parameters
    ----------
    columns
        One-dimensional arrays of NumPy or pandas, each as long as the index.
    index
        The rows' labels.

    Examples
    --------
    >>> answer_frame({"prediction": np.array([0.5]), "status": as_texts(["child"])}, pd.RangeIndex(1))
       prediction status
    0         0.5  child
    """
    if len(index) > FEW_ROWS or not _TRUSTS_ARRAYS:
        return pd.DataFrame(columns, index=index, copy=False)
    return _of_trusted_arrays(list(columns.values()), _names(tuple(columns))[:], index)


@lru_cache(maxsize=256)
def _names(columns: tuple[str, ...]) -> pd.Index:
    # Handed out as a slice: whoever names the columns of one answer must not name those of all.
    return pd.Index(columns)


def _of_trusted_arrays(arrays: list[AnyArray], names: pd.Index, index: pd.Index) -> pd.DataFrame:
    """Build a frame as pandas builds its own results: a third of the time, and nothing is looked at."""
    return pd.DataFrame._from_arrays(arrays, names, index, verify_integrity=False)


def _trusts_arrays() -> bool:
    """Whether this pandas has the constructor that is not public, and it does what the public one does."""
    columns = {"prediction": np.array([0.5, np.nan]), "status": as_texts(["child", "failed"])}
    index = pd.Index(["a", "a"])
    try:
        made = _of_trusted_arrays(list(columns.values()), _names(tuple(columns)), index)
    except (AttributeError, TypeError, ValueError):
        return False
    return made.equals(pd.DataFrame(columns, index=index))


_TRUSTS_ARRAYS = _trusts_arrays()
