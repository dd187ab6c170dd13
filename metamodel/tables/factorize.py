"""Give every value of a column the code of its distinct value, by the way that is fastest for what the column holds.

Values of different types never share a code: to pandas 1, 1.0 and True are one. This module knows one column at a time,
and no keys.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["factorize", "factorize_integers"]

# Below this a column's objects are not worth a look of their own.
_MANY_ROWS = 10_000

_SAMPLED_ROWS = 2048

# A table of codes may have this many places for each row; where values lie further apart, they are hashed.
_PLACES_A_ROW = 4

# Memory is looked at in parts of 1 MB: 2**16 places of 16 bytes; a map of 16 TB takes 16 MB.
_PART_BITS, _MOST_PARTS = 16, 2**24


def factorize(values: pd.Series) -> tuple[IntArray, list[object], str]:
    """Code the raw values of a column; -1 is null. Values of different types never share a code.

    The third result is the kind of which all raw values are canonical already, or "".
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return *_factorize_categories(values), ""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        codes, uniques = factorize_integers(values.to_numpy())
        return codes, uniques.tolist(), "integer" if values.dtype != np.uint64 else ""
    if isinstance(values.dtype, pd.StringDtype):
        return _factorize_strings(values)
    if values.dtype != object:
        codes, uniques = pd.factorize(values)
        return codes.astype(np.int64), list(uniques), ""
    return _factorize_shared(values) if _shares_objects(values) else _factorize_by_value(values)


def _factorize_by_value(values: pd.Series) -> tuple[IntArray, list[object], str]:
    if pd.api.types.infer_dtype(values, skipna=True) == "string":
        return _factorize_strings(values)
    return *_factorize_objects(values), ""


def _shares_objects(values: pd.Series) -> bool:
    """Whether equal values are mostly one object, as in columns that were read from Parquet or CSV files."""
    if not _MANY_ROWS <= len(values) < 2**31:  # their numbers are held in 32 bits
        return False
    sample = values.to_numpy()[:_SAMPLED_ROWS].tolist()
    return all(type(value) is str for value in sample) and len(set(map(id, sample))) == len(set(sample))


def _factorize_shared(values: pd.Series) -> tuple[IntArray, list[object], str]:
    """Code the objects first, by their addresses, and then their values: a look into a million texts costs far more."""
    objects = np.ascontiguousarray(values.to_numpy())
    addresses = np.ndarray(objects.shape, dtype=np.intp, buffer=objects.data)
    places = _packed(addresses >> 4)  # no two texts begin within the same 16 bytes
    if int(places.max()) > _PLACES_A_ROW * len(places):
        places = pd.factorize(places)[0]
    rows = np.arange(len(places), dtype=np.int32)
    table = np.empty(int(places.max()) + 1, dtype=np.int32)
    table[places[::-1]] = rows[::-1]  # the first row of each object is written last
    first = np.flatnonzero(table.take(places, mode="clip") == rows)
    of_distinct, uniques, kind = _factorize_by_value(pd.Series(objects[first], dtype=object))
    table[places[first]] = of_distinct
    return table.take(places, mode="clip").astype(np.int64), uniques, kind


def _packed(places: IntArray) -> IntArray:
    """Count from the first place, without parts of the memory in which none lies, so that a table can hold them all."""
    places = places - places.min()
    parts = places >> _PART_BITS
    n_parts = int(parts.max()) + 1
    if n_parts << _PART_BITS < _PLACES_A_ROW * len(places) or n_parts > _MOST_PARTS:
        return places
    used = np.zeros(n_parts, dtype=bool)
    used[parts] = True
    number = (np.cumsum(used) - 1) << _PART_BITS
    return number.take(parts) + (places & ((1 << _PART_BITS) - 1))


def _factorize_categories(values: pd.Series) -> tuple[IntArray, list[object]]:
    codes = values.cat.codes.to_numpy().astype(np.int64)
    used = np.bincount(codes + 1, minlength=len(values.cat.categories) + 1)[1:] > 0  # the first one counts nulls
    recode = np.append(np.cumsum(used) - 1, -1)
    return recode[codes], values.cat.categories[used].tolist()


def factorize_integers(values: AnyArray) -> tuple[IntArray, AnyArray]:
    """Code integers in ascending order where they lie close together, else in order of appearance."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    if high - low >= _PLACES_A_ROW * len(values):
        codes, uniques = pd.factorize(values)
        return codes.astype(np.int64, copy=False), uniques
    wide = values if values.dtype == np.uint64 else values.astype(np.int64)  # int8 would overflow
    offsets = (wide - wide.dtype.type(low)).astype(np.int64, copy=False)
    used = np.zeros(high - low + 1, dtype=bool)
    used[offsets] = True
    # What is looked into at random should fit into the processor's cache.
    up_to = np.cumsum(used, dtype=np.int32 if len(values) < len(used) < 2**31 else np.int64)
    codes = np.subtract(up_to, 1, out=up_to).take(offsets, mode="clip").astype(np.int64, copy=False)
    return codes, np.flatnonzero(used).astype(wide.dtype) + wide.dtype.type(low)


def _factorize_strings(values: pd.Series) -> tuple[IntArray, list[object], str]:
    try:
        array = pa.array(values, type=pa.string(), from_pandas=True)
    except (pa.ArrowInvalid, UnicodeEncodeError):  # a lone surrogate: the slow path names it
        return *_factorize_objects(values), ""
    if isinstance(array, pa.ChunkedArray):  # from a column that Arrow holds
        array = array.combine_chunks()
    encoded = array.dictionary_encode()
    indices = encoded.indices.fill_null(-1) if array.null_count else encoded.indices
    return indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist(), "string"


def _factorize_objects(values: pd.Series) -> tuple[IntArray, list[object]]:
    # pandas would give 1, 1.0 and True one code, because they are equal; here their types count.
    seen: dict[tuple[type, object], int] = {}
    uniques: list[object] = []
    codes = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        if pd.api.types.is_scalar(value) and pd.isna(value):
            codes[row] = -1
            continue
        mark = value if pd.api.types.is_hashable(value) else id(value)
        code = seen.setdefault((type(value), mark), len(uniques))
        if code == len(uniques):
            uniques.append(value)
        codes[row] = code
    return codes, uniques
