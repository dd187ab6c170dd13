"""A few rows, read without the machinery that a million rows need.

Grouping a table and converting its columns costs pandas most of a millisecond however few rows there are, several
times what a linear child takes. A request of one row is read cell by cell instead. What is read is the same to the
last bit, or nothing is read: whatever is not plainly a number goes the general way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.exceptions import InvalidKey
from metamodel.features import FeatureColumns, FeatureSchema
from metamodel.frames import AnyArray, Grouping
from metamodel.keys import GroupKey, KeySchema

__all__ = ["FEW_ROWS", "read_few_rows"]

# From here on the general way is faster.
FEW_ROWS = 16
_PLAIN = {float, int, bool}


def read_few_rows(
    frame: pd.DataFrame, keys: KeySchema, features: FeatureSchema
) -> tuple[Grouping, FeatureColumns] | None:
    """Read a small table.

    Parameters
    ----------
    frame
        At most about `FEW_ROWS` rows.
    keys, features
        The recorded schemas.

    Returns
    -------
    tuple of (Grouping, FeatureColumns), or None
        None where the table is not of the plain kind: children that take frames, a column that is missing or there
        twice, a feature that is no plain number.
    """
    if features.layout != "array":
        return None
    names = frame.columns.tolist()
    where = {name: i for i, name in enumerate(names)}
    if len(where) < len(names):
        return None
    try:
        of_features = [where[name] for name in features.names]
        of_keys = [where[name] for name in keys.names]
    except KeyError:
        return None
    # Lists from here on: for so few cells each call of NumPy costs more than a loop.
    rows = frame.to_numpy(dtype=object).tolist()
    matrix = _matrix([[row[i] for i in of_features] for row in rows], features)
    if matrix is None:
        return None
    grouping = _grouping([[row[i] for i in of_keys] for row in rows], keys)
    return grouping, FeatureColumns(list(matrix.T), {}, features, matrix)


def _matrix(rows: Sequence[Sequence[Any]], features: FeatureSchema) -> AnyArray | None:
    if not all(_PLAIN.issuperset(map(type, row)) for row in rows):
        return None
    try:
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(features.features))
    except OverflowError:  # an integer beyond every float
        return None
    for i, dtype in features.narrow:
        with np.errstate(over="ignore"):
            matrix[:, i] = matrix[:, i].astype(dtype)
    return matrix.astype(features.matrix_dtype, copy=False)


def _grouping(rows: Sequence[Sequence[Any]], keys: KeySchema) -> Grouping:
    found: list[GroupKey | InvalidKey] = []
    codes: list[int] = []
    seen: dict[GroupKey, int] = {}
    for row in rows:
        try:
            key = tuple(keys.canonical_value(i, value) for i, value in enumerate(row))
        except InvalidKey as error:
            codes.append(len(found))
            found.append(error)
            continue
        code = seen.setdefault(key, len(found))
        if code == len(found):
            found.append(key)
        codes.append(code)
    return Grouping(found, np.array(codes, dtype=np.int64))
