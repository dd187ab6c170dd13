"""A few rows, read without the machinery that a million rows need.

Grouping a table and converting its columns costs pandas most of a millisecond however few rows there are, several
times what a linear child takes. A request of one row is read cell by cell instead. What is read is the same to the
last bit, or nothing is read: whatever is not plainly a number goes the general way.
"""

import numpy as np
import pandas as pd

from metamodel.exceptions import InvalidKey
from metamodel.features import FeatureColumns, FeatureSchema
from metamodel.frames import AnyArray, Grouping
from metamodel.keys import GroupKey, KeySchema

__all__ = ["FEW_ROWS", "read_few_rows"]

# From here on the general way is faster.
FEW_ROWS = 16
_PLAIN = (float, int, bool)


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
    where = {name: i for i, name in enumerate(frame.columns)}
    if len(where) < len(frame.columns) or not where.keys() >= {*keys.names, *features.names}:
        return None
    cells = frame.to_numpy(dtype=object)
    matrix = _matrix(cells[:, [where[name] for name in features.names]], features)
    if matrix is None:
        return None
    grouping = _grouping(cells[:, [where[name] for name in keys.names]], keys)
    return grouping, FeatureColumns(list(matrix.T), {}, features, matrix)


def _matrix(cells: AnyArray, features: FeatureSchema) -> AnyArray | None:
    rows = cells.tolist()
    if not all(type(cell) in _PLAIN for row in rows for cell in row):
        return None
    try:
        matrix = np.array(rows, dtype=np.float64).reshape(cells.shape)
    except OverflowError:  # an integer beyond every float
        return None
    for i, feature in enumerate(features.features):
        if feature.dtype.lower() in ("float16", "float32"):
            with np.errstate(over="ignore"):
                matrix[:, i] = matrix[:, i].astype(feature.dtype.lower())
    return matrix.astype(features.matrix_dtype, copy=False)


def _grouping(cells: AnyArray, keys: KeySchema) -> Grouping:
    found: list[GroupKey | InvalidKey] = []
    codes: list[int] = []
    seen: dict[GroupKey, int] = {}
    for row in cells:
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
