"""A few rows, or plain ones, read without the machinery that a million mixed rows need.

Grouping a table and converting its columns costs pandas most of a millisecond however few rows there are, several
times what a linear child takes. A request of one row is read cell by cell instead. What is read is the same to the
last bit, or nothing is read: whatever is not plainly a number goes the general way.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, AnyArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.features import FeatureColumns, FeatureSchema
from metamodel.tables.grouping import Grouping, group_rows
from metamodel.tables.keys import GroupKey, KeySchema

__all__ = ["read_any_rows", "read_few_rows", "read_plain_rows"]

_PLAIN = {float, int, bool}

_PLAIN_OR_NULL = _PLAIN | {type(None)}

# The one type in which JSON brings values of each kind of group column.
_KEY_TYPES: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "date": str, "timestamp": str}

# Below this an integer is the same whether the table around it holds integers, floats or objects.
_PLAIN_INTEGERS = 2**53


def read_any_rows(frame: pd.DataFrame, keys: KeySchema, features: FeatureSchema) -> tuple[Grouping, FeatureColumns]:
    """Read a table: the groups of its rows, and its features.

    Raises
    ------
    InputError
        A group column or a feature is missing, or there twice.
    """
    read = read_few_rows(frame, keys, features) if len(frame) <= FEW_ROWS else None
    return read or (group_rows(frame, keys), features.columns(frame))


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


def read_plain_rows(
    key_rows: Sequence[Sequence[Any]], feature_rows: Sequence[Sequence[Any]], keys: KeySchema, features: FeatureSchema
) -> tuple[Grouping, FeatureColumns] | None:
    """Read any number of rows as a JSON parser gives them, if nothing about them is unusual.

    Parameters
    ----------
    key_rows, feature_rows
        One sequence for each row: the values of the group columns, and of the features, in the schemas' order.
    keys, features
        The recorded schemas.

    Returns
    -------
    tuple of (Grouping, FeatureColumns), or None
        None where the children take frames, a key is not of its column's own JSON type (a null, a float for an
        integer), or a feature is neither a plain number nor null.
    """
    if features.layout != "array":
        return None
    matrix = _plain_matrix(feature_rows)
    if matrix is None or matrix.shape != (len(key_rows), len(features.features)):
        return None
    grouping = _plain_grouping(key_rows, keys)
    if grouping is None:
        return None
    matrix = _in_training_dtype(matrix, features)
    columns = matrix.T if len(matrix) <= FEW_ROWS else np.ascontiguousarray(matrix.T)
    return grouping, FeatureColumns(list(columns), {}, features, matrix)


def _plain_matrix(rows: Sequence[Sequence[Any]]) -> AnyArray | None:
    # The types first: of one long text NumPy would make a matrix of texts as long.
    if not _PLAIN_OR_NULL.issuperset(map(type, chain.from_iterable(rows))):
        return None
    try:
        return np.array(rows, dtype=np.float64)  # a null becomes NaN
    except (OverflowError, ValueError):  # an integer beyond every float; rows of different lengths
        return None


def _plain_grouping(rows: Sequence[Sequence[Any]], keys: KeySchema) -> Grouping | None:
    for i, column in enumerate(keys.columns):
        kind = _KEY_TYPES[column.kind]
        if not all(type(row[i]) is kind for row in rows):
            return None
    if len(rows) <= FEW_ROWS:
        grouping = _grouping(rows, keys)
    else:
        # The very groups in the very order of a table: a child's last bits may depend on the rows beside a row.
        columns = {name: [row[i] for row in rows] for i, name in enumerate(keys.names)}
        grouping = group_rows(pd.DataFrame(columns), keys)
    return grouping if all(map(_is_plain_key, grouping.keys)) else None


def _is_plain_key(key: GroupKey | InvalidKey) -> bool:
    # NumPy drops zeros at a text's end where a whole column is one array of texts.
    return isinstance(key, tuple) and not any(
        "\0" in value if isinstance(value, str) else isinstance(value, int) and abs(value) > _PLAIN_INTEGERS
        for value in key
    )


def _matrix(rows: Sequence[Sequence[Any]], features: FeatureSchema) -> AnyArray | None:
    if not all(_PLAIN.issuperset(map(type, row)) for row in rows):
        return None
    try:
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(features.features))
    except OverflowError:  # an integer beyond every float
        return None
    return _in_training_dtype(matrix, features)


def _in_training_dtype(matrix: AnyArray, features: FeatureSchema) -> AnyArray:
    for i, dtype in features.narrow:
        with np.errstate(over="ignore"):
            matrix[:, i] = matrix[:, i].astype(dtype)
    return matrix.astype(features.matrix_dtype, copy=False)


def _grouping(rows: Iterable[Iterable[Any]], keys: KeySchema) -> Grouping:
    distinct: list[GroupKey | InvalidKey] = []
    codes: list[int] = []
    seen: dict[GroupKey, int] = {}
    for row in rows:
        try:
            key = tuple(keys.canonical_value(i, value) for i, value in enumerate(row))
        except InvalidKey as error:
            codes.append(len(distinct))
            distinct.append(error)
            continue
        code = seen.setdefault(key, len(distinct))
        if code == len(distinct):
            distinct.append(key)
        codes.append(code)
    return Grouping(distinct, np.array(codes, dtype=np.int64))
