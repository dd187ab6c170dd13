"""Hashes of rows, by which equal rows are told: they depend on a row's own values, never on the rows beside it.

What they are made of is kept from one training to the next, so they depend neither on dtypes, which follow from the
other rows of a table (one null makes floats of integers) and from the kind of file it was read from, nor on what a
library takes for a hash. `column_hashes` alone, which tell the values of one table apart, are a library's.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray

__all__ = ["column_hashes", "drawn_hashes", "row_hashes", "value_hashes"]

# Of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA).
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

# Up to here every integer is a float.
_EXACT = 2**53

# Numbers that are hashed in turn: they and their hashes stay in the processor's cache, which halves the time.
_BLOCK = 1 << 14

_NULL = np.uint64(0x6D6574616D6F6465)


def row_hashes(frame: pd.DataFrame, columns: Sequence[str], random_state: int) -> HashArray:
    """Hash every row's content and a seed, shape (n_rows,).

    Neither the row order nor other rows change a row's hash, nor do the columns' types; exact duplicates share it.

    Parameters
    ----------
    frame
        The table.
    columns
        Whose content counts.
    random_state
        Seed.
    """
    return drawn_hashes(value_hashes(frame[name] for name in columns), random_state)


def drawn_hashes(hashes: HashArray, random_state: int) -> HashArray:
    """Make draws of a seed from hashes of content, shape (n_rows,): equal ones stay equal, distinct ones distinct."""
    return _scrambled(hashes ^ np.uint64(random_state * 0x9E3779B97F4A7C15 % 2**64))


def column_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, HashArray]:
    """Hash every value of some columns, each of shape (n_rows,); equal values, and nulls, share a hash."""
    return {name: pd.util.hash_pandas_object(_hashable(frame[name]), index=False).to_numpy() for name in columns}


def _hashable(values: pd.Series) -> pd.Series:
    """Write objects of mixed types, which cannot be hashed as they are, as text; give equal numbers equal bytes."""
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) != "string":
        return values.map(repr)
    if pd.api.types.is_float_dtype(values.dtype):
        return values + 0.0  # -0.0 equals 0.0, and has other bytes
    return values


def value_hashes(columns: Iterable[Any], before: HashArray | None = None) -> HashArray:
    """Hash every row's values, the same in every process, engine and release of a library.

    Equal numbers share a hash, whatever their type; so do equal points of time, texts, and nulls of every kind.

    Parameters
    ----------
    columns
        Arrays or Series of one length, at least one; their order counts, their names do not.
    before
        Hashes of what the rows hold beside these columns, or numbers of their groups, which make equal rows of two
        groups different ones.

    Returns
    -------
    array of shape (n_rows,), uint64

    Examples
    --------
    >>> whole = value_hashes([np.array([1, 2]), np.array(["a", None], dtype=object)])
    >>> whole.tolist() == value_hashes([np.array([1.0, 2.0]), pd.Categorical(["a", None])]).tolist()
    True
    """
    rows = before
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
        hashes = _number_hashes(values.to_numpy(dtype=np.float64, na_value=np.nan))
        return _with_large_integers(hashes, values) if pd.api.types.is_integer_dtype(dtype) else hashes
    try:
        codes, distinct = pd.factorize(values)
    except TypeError:  # lists and such
        codes, distinct = pd.factorize(values.map(repr))
    of_distinct: HashArray = np.array([_object_hash(value) for value in distinct], dtype=np.uint64)
    return np.append(of_distinct, _NULL)[codes]  # a null's code is -1


def _number_hashes(numbers: AnyArray) -> HashArray:
    hashes = np.empty(len(numbers), dtype=np.uint64)
    for start in range(0, len(numbers), _BLOCK):
        block, bits = numbers[start : start + _BLOCK], hashes[start : start + _BLOCK]
        np.add(block, 0.0, out=bits.view(np.float64))  # -0.0 equals 0.0, and has other bytes
        _scramble(bits)
        bits[np.isnan(block)] = _NULL
    return hashes


def _with_large_integers(hashes: HashArray, values: pd.Series) -> HashArray:
    """Tell integers apart that are the same number as floats, such as identifiers of 64 bits."""
    whole = values.to_numpy(dtype=np.uint64 if "uint" in str(values.dtype).lower() else np.int64, na_value=0)
    if not len(whole) or (whole.min() >= -_EXACT and whole.max() <= _EXACT):
        return hashes
    size = np.where(whole < 0, -whole, whole).astype(np.uint64)
    lost = np.maximum(np.frexp(size.astype(np.float64))[1] - 53, 0).astype(np.uint64)  # bits that a float has not
    rest = size & ((np.uint64(1) << lost) - np.uint64(1))
    return np.where(rest > 0, _scrambled(hashes * _FIRST + rest), hashes)


def _object_hash(value: Any) -> int:
    is_whole = isinstance(value, int | np.integer)
    if isinstance(value, float | np.floating) or (is_whole and -_EXACT <= value <= _EXACT):
        return int(_number_hashes(np.array([value], dtype=np.float64))[0])
    if is_whole and -(2**63) <= value < 2**63:
        return int(_hashes_of_column(np.array([value], dtype=np.int64))[0])
    text = value if isinstance(value, str) else repr(value)
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _scrambled(values: HashArray) -> HashArray:
    """Spread every bit over all others; what SplitMix64 does with a counter."""
    scrambled = values.copy()
    for start in range(0, len(values), _BLOCK):
        _scramble(scrambled[start : start + _BLOCK])
    return scrambled


def _scramble(bits: HashArray) -> None:
    """Do so in place."""
    bits += _STEP
    bits ^= bits >> np.uint64(30)
    bits *= _FIRST
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND
    bits ^= bits >> np.uint64(31)
