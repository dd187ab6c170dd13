"""Names for the arrays that pass from file to file, and copies of rows for code that may write into them."""

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = [
    "FEW_ROWS",
    "AnyArray",
    "BoolArray",
    "HashArray",
    "IntArray",
    "as_matrix",
    "as_objects",
    "is_among",
    "unshared",
]

# For so few rows each call of NumPy costs more than a loop.
FEW_ROWS = 16

IntArray = np.ndarray[Any, np.dtype[np.int64]]

AnyArray = np.ndarray[Any, Any]

HashArray = np.ndarray[Any, np.dtype[np.uint64]]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def as_matrix(values: AnyArray) -> AnyArray:
    """View an array as a matrix of a row for each entry of its first axis, also where it has none.

    NumPy refuses ``reshape(0, -1)``.

    Examples
    --------
    >>> as_matrix(np.zeros((0, 2, 3))).shape
    (0, 6)
    """
    return values.reshape(len(values), math.prod(values.shape[1:]))


def as_objects(values: pd.Series, null: Any) -> AnyArray:
    """Give a column's values as Python's objects, with one null for None, NaN, NaT and pd.NA.

    Parameters
    ----------
    values
        Of any dtype, shape (n_rows,).
    null
        What stands for a missing value.

    Returns
    -------
    ndarray of object, shape (n_rows,)
        To read alone: it may be the column's own.

    Examples
    --------
    >>> as_objects(pd.Series([3, None], dtype="Int64"), None).tolist()
    [3, None]
    """
    objects: AnyArray = values.astype(object).to_numpy()  # by itself `to_numpy` makes floats of integer categories
    missing = values.isna().to_numpy()
    if missing.any():
        objects = objects.copy()
        objects[missing] = null
    return objects


def is_among(values: AnyArray, ordered: AnyArray) -> BoolArray:
    """Say of each value whether it is among others that are sorted; of a few values in a twentieth of `numpy.isin`.

    Parameters
    ----------
    values
        Shape (n_values,).
    ordered
        Shape (n_others,), ascending.

    Examples
    --------
    >>> is_among(np.array([3, 4, 9]), np.array([1, 3, 5])).tolist()
    [True, False, False]
    """
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    among: BoolArray = ordered[np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)] == values
    return among


def unshared(x: Any, order: Literal["C", "F"] = "C") -> Any:
    """Copy rows for ONE call of an estimator: scalers with ``copy=False`` and in-place functions write into them.

    Every other reader of the same rows (the next call, the metrics, another child) must see them as they were. Of 20
    rows the copy takes about 1 % of the time of the cheapest child.

    Parameters
    ----------
    x
        Matrix or frame, shape (n_rows, n_features); anything else is returned as it is.
    order
        Memory layout of the copy of a matrix.

    Examples
    --------
    >>> rows = np.zeros((1, 2))
    >>> unshared(rows)[0, 0] = 1.0
    >>> rows.tolist()
    [[0.0, 0.0]]
    """
    if isinstance(x, np.ndarray):
        return x.copy(order)
    return x.copy() if isinstance(x, pd.DataFrame | pd.Series) else x
