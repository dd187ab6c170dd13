"""The weight column of a table, as numbers."""

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count
from metamodel.exceptions import InputError

__all__ = ["row_weights"]


def row_weights(values: pd.Series) -> AnyArray:
    """Bring the weight column to numbers, shape (n_rows,).

    Raises
    ------
    InputError
        A weight is missing, negative, infinite or no number.

    Examples
    --------
    >>> row_weights(pd.Series([1.0, -2.0], name="w"))
    Traceback (most recent call last):
    metamodel.exceptions.InputError: Weight column 'w' has 1 value missing, infinite or below 0 (first: -2.0). ...
    """
    if not types.is_numeric_dtype(values.dtype) or types.is_complex_dtype(values.dtype):
        values = _numbers(values)
    weights: AnyArray = values.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        raise InputError(
            f"Weight column {values.name!r} has {count(int(bad.sum()), 'value')} missing, infinite or below 0 "
            f"(first: {weights[bad][0]}). Correct or remove these rows."
        )
    return weights


def _numbers(values: pd.Series) -> pd.Series:
    kind = types.infer_dtype(values)
    text = f"Weight column {values.name!r} holds {kind} values, which are no weights. Name a column of numbers."
    if kind.startswith(("datetime", "timedelta", "complex")):  # of which pandas makes nanoseconds, and real parts
        raise InputError(text)
    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError) as error:
        raise InputError(text) from error
