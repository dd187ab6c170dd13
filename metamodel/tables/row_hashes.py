"""Hashes of rows, by which equal rows are told: they depend on a row's own values, never on the rows beside it.

`row_hashes` tell the rows of one training apart. `value_hashes` are kept from one training to the next, so they
depend on neither dtypes, which follow from the other rows of a table (one null makes floats of integers), nor on what a
library takes for a hash.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray

__all__ = ["column_hashes", "mixed_columns", "row_hashes", "value_hashes"]

# Of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA).
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

_NULL = np.uint64(0x6D6574616D6F6465)


def row_hashes(
    frame: pd.DataFrame, columns: Sequence[str], random_state: int, mixed: Collection[str] | None = None
) -> HashArray:
    """Hash every row's content, shape (n_rows,).

    A row's hash depends on its own values and the seed alone: neither the row order nor other rows change it, and exact
    duplicates share it.

    Parameters
    ----------
    frame
        The table.
    columns
        Whose content counts.
    random_state
        Seed.
    mixed
        The `mixed_columns` of the whole table where `frame` is only a part of it.
    """
    hashable = pd.DataFrame(_hashable(frame, columns, mixed), copy=False)  # columns side by side, and no copy of them
    content = pd.util.hash_pandas_object(hashable, index=False).to_numpy()
    return pd.util.hash_array(content ^ np.uint64(random_state * 0x9E3779B97F4A7C15 % 2**64))


def column_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, HashArray]:
    """Hash every value of some columns, each of shape (n_rows,); equal values, and nulls, share a hash."""
    hashable = _hashable(frame, columns, None)
    return {name: pd.util.hash_pandas_object(hashable[name], index=False).to_numpy() for name in columns}


def mixed_columns(frame: pd.DataFrame, columns: Iterable[str] | None = None) -> set[str]:
    """Names of the columns, of all or of some, that hold other objects than text."""
    return {
        name
        for name in (frame.columns if columns is None else columns)
        if frame[name].dtype == object and pd.api.types.infer_dtype(frame[name], skipna=True) != "string"
    }


def _hashable(frame: pd.DataFrame, columns: Sequence[str], mixed: Collection[str] | None) -> dict[str, pd.Series]:
    """Write objects of mixed types, which cannot be hashed as they are, as text; give equal numbers equal bytes."""
    mixed = mixed_columns(frame, columns) if mixed is None else mixed
    hashable = {}
    for name in columns:
        values = frame[name]
        if name in mixed:
            values = values.map(repr)
        elif pd.api.types.is_float_dtype(values.dtype):
            values = values + 0.0  # -0.0 equals 0.0, and has other bytes
        hashable[name] = values
    return hashable


def value_hashes(columns: Iterable[Any], groups: IntArray | None = None) -> HashArray:
    """Hash every row's values, the same in every process, engine and release of a library.

    Equal numbers share a hash, whatever their type; so do equal points of time, texts, and nulls of every kind.

    Parameters
    ----------
    columns
        Arrays or Series of one length, at least one; their order counts, their names do not.
    groups
        Number of each row's group, which makes equal rows of two groups different ones.

    Returns
    -------
    array of shape (n_rows,), uint64

    Examples
    --------
    >>> whole = value_hashes([np.array([1, 2]), np.array(["a", None], dtype=object)])
    >>> whole.tolist() == value_hashes([np.array([1.0, 2.0]), pd.Categorical(["a", None])]).tolist()
    True
    """
    rows = None if groups is None else groups.view(np.uint64)
    for column in columns:
        hashes = _hashes_of_column(column)
        rows = hashes if rows is None else _scrambled(rows * _FIRST + hashes)
    assert rows is not None
    return rows


def _hashes_of_column(column: Any) -> HashArray:
    values = column if isinstance(column, pd.Series) else pd.Series(column)
    dtype = values.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        moments = values.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(dtype, "tz", None) else values
        points = moments.to_numpy().astype("datetime64[us]")
        return np.where(np.isnat(points), _NULL, _scrambled(points.view(np.uint64)))
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return _number_hashes(values.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, distinct = pd.factorize(values)
    known: HashArray = np.array([_object_hash(value) for value in distinct], dtype=np.uint64)
    return np.append(known, _NULL)[codes]  # a null's code is -1


def _number_hashes(numbers: AnyArray) -> HashArray:
    null = np.isnan(numbers)
    # -0.0 equals 0.0, and has other bytes.
    hashes = _scrambled((numbers + 0.0).view(np.uint64))
    hashes[null] = _NULL
    return hashes


def _object_hash(value: Any) -> int:
    if isinstance(value, int | float | np.number):
        return int(_number_hashes(np.array([value], dtype=np.float64))[0])
    text = value if isinstance(value, str) else repr(value)
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _scrambled(values: HashArray) -> HashArray:
    """Spread every bit over all others; what SplitMix64 does with a counter."""
    bits = values + _STEP
    bits ^= bits >> np.uint64(30)
    bits *= _FIRST
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND
    bits ^= bits >> np.uint64(31)
    return bits
