"""Split a mixed table into groups, and find every row's group again.

The table is factorised once: every row gets the code of its group, every distinct key is brought to the key schema
once, and rows are ordered by code once, so that each group is one contiguous slice. Nothing here knows models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.messages import listing
from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.key_values import KeyValue
from metamodel.tables.keys import GroupKey, KeySchema, prefixes

__all__ = ["Grouping", "check_columns", "counting_sort", "group_rows", "spread"]

# Below this a column's objects are not worth a look of their own.
_MANY_ROWS = 10_000

_SAMPLED_ROWS = 2048

# Memory is looked at in parts of 1 MB: 2**16 places of 16 bytes; a map of 16 TB takes 16 MB.
_PART_BITS, _MOST_PARTS = 16, 2**24


@dataclass(frozen=True)
class Grouping:
    """The groups of a table's rows.

    Attributes
    ----------
    keys
        One entry for every distinct combination of values in the group columns: the canonical key, or the
        `InvalidKey` error that says why the combination is none. The order depends on the rows alone.
    codes
        Shape (n_rows,): position in `keys` of each row's group.
    """

    keys: list[GroupKey | InvalidKey]
    codes: IntArray

    @cached_property
    def counts(self) -> IntArray:
        """Rows of each group, shape (n_groups,)."""
        return np.bincount(self.codes, minlength=len(self.keys)).astype(np.int64)

    @cached_property
    def order(self) -> IntArray:
        """Row positions sorted by group; rows of one group keep their order."""
        return counting_sort(self.codes, len(self.keys))

    @cached_property
    def bounds(self) -> IntArray:
        """Where each group starts in `order`, shape (n_groups + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def at_level(self, level: int) -> "Grouping":
        """Group by the first `level` group columns only; level 0 is one group of all rows. Invalid keys stay apart."""
        places: dict[GroupKey | InvalidKey, int] = {}
        coarser = [places.setdefault(key, len(places)) for key in prefixes(self.keys, level)]
        return Grouping(list(places), np.asarray(coarser, dtype=np.int64)[self.codes])


def counting_sort(codes: IntArray, n_codes: int) -> IntArray:
    """Positions that sort codes from 0 to `n_codes` - 1; equal ones keep their order."""
    # NumPy sorts 16-bit integers by radix, in linear time: 14 times faster than 64-bit ones. Larger codes are sorted
    # by their low half, then by their high half.
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    for shift in range(16, max(n_codes - 1, 0).bit_length(), 16):
        order = order[np.argsort((codes >> shift).astype(np.uint16)[order], kind="stable")]
    return order


def spread(n_rows: int, wanted: int) -> IntArray:
    """Positions of at most `wanted` rows from all over a table.

    Examples
    --------
    >>> spread(10, 4).tolist(), spread(2, 4).tolist(), spread(0, 4).tolist()
    ([0, 3, 6, 9], [0, 1], [])
    """
    return np.unique(np.linspace(0, max(0, n_rows - 1), min(wanted, n_rows)).astype(np.int64))


def check_columns(frame: pd.DataFrame, needed: Sequence[str], role: str) -> None:
    """Insist on columns that exist once.

    Parameters
    ----------
    frame
        The table.
    needed
        Columns that must be there; others are ignored.
    role
        What the columns are for, as it should stand in the message ("group column").

    Raises
    ------
    MissingColumns
        Some are not there.
    InputError
        Some are there more than once.
    """
    if missing := [name for name in needed if name not in frame.columns]:
        raise MissingColumns(
            f"The table lacks {role}{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))} "
            f"(it has {len(frame.columns)}: {listing(frame.columns, 12)}). Add the column, or correct its name."
        )
    if twice := sorted({str(n) for n in frame.columns[frame.columns.duplicated()] if n in set(needed)}):
        raise InputError(
            f"The table has more than one column named {', '.join(map(repr, twice))}. Keep one, rename the others."
        )


def group_rows(frame: pd.DataFrame, schema: KeySchema) -> Grouping:
    """Group the rows of a table by its group columns.

    Parameters
    ----------
    frame
        Table with the group columns, any index, any number of rows.
    schema
        The recorded group columns.

    Examples
    --------
    >>> frame = pd.DataFrame({"store": [7, 8.0, 7.0, 7.5]})
    >>> grouping = group_rows(frame, KeySchema.infer(frame.iloc[:3], ["store"]))
    >>> grouping.keys[:2], grouping.codes.tolist()
    ([(7,), (8,)], [0, 1, 0, 2])
    """
    check_columns(frame, schema.names, "group column")
    encoded = [_encode_column(frame[name], schema, i) for i, name in enumerate(schema.names)]
    codes, parts = _combine([codes for codes, _ in encoded], [len(uniques) for _, uniques in encoded])
    values = [
        [uniques[code] for code in part.tolist()] if len(encoded) > 1 else uniques
        for (_, uniques), part in zip(encoded, parts, strict=True)
    ]
    invalid = any(issubclass(kind, InvalidKey) for _, uniques in encoded for kind in set(map(type, uniques)))
    keys: list[Any] = list(zip(*values, strict=True))
    return Grouping([_key_or_error(key) for key in keys] if invalid else keys, codes)


def _key_or_error(values: tuple[KeyValue | InvalidKey, ...]) -> GroupKey | InvalidKey:
    for value in values:
        if isinstance(value, InvalidKey):
            return value
    return values


def _combine(columns: list[IntArray], sizes: list[int]) -> tuple[IntArray, list[IntArray]]:
    """Enumerate the combinations of several columns; `parts[i][c]` is column i's code in combination c.

    `sizes` are the numbers of codes in each column, all of which occur.
    """
    codes, parts = columns[0], [np.arange(sizes[0])]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        codes, combined = _factorize_integers(codes * size + column)
        parts = [part[combined // size] for part in parts] + [combined % size]
    return codes, parts


def _encode_column(values: pd.Series, schema: KeySchema, position: int) -> tuple[IntArray, list[KeyValue | InvalidKey]]:
    """Bring a column to its kind: a code for each row, and what each code stands for."""
    codes, raw, kind = _factorize(values)
    if kind == schema.columns[position].kind and (not len(codes) or codes.min() >= 0):
        return codes, raw  # canonical as they are
    return _canonical(codes, raw, schema, position)


def _canonical(
    codes: IntArray, raw: list[object], schema: KeySchema, position: int
) -> tuple[IntArray, list[KeyValue | InvalidKey]]:
    canonical: dict[tuple[type, object], int] = {}
    uniques: list[KeyValue | InvalidKey] = []
    recode = np.empty(len(raw) + 1, dtype=np.int64)
    nulls = [None] if (codes < 0).any() else []
    for i, value in enumerate([*raw, *nulls]):
        entry: KeyValue | InvalidKey
        try:
            entry = schema.canonical_value(position, value)
        except InvalidKey as error:
            entry = error
        # Several raw values may be one key (7, 7.0, Decimal(7)); errors stay apart, each names its own value.
        where = canonical.setdefault((type(entry), id(entry) if isinstance(entry, InvalidKey) else entry), len(uniques))
        if where == len(uniques):
            uniques.append(entry)
        recode[i] = where
    return recode[codes], uniques  # code -1 (null) picks the last entry, which is the null's


def _factorize(values: pd.Series) -> tuple[IntArray, list[object], str]:
    """Code the raw values of a column; -1 is null. Values of different types never share a code.

    The third result is the kind of which all raw values are canonical already, or "".
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return *_factorize_categories(values), ""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        codes, uniques = _factorize_integers(values.to_numpy())
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
    if len(values) < _MANY_ROWS:
        return False
    sample = values.to_numpy()[:_SAMPLED_ROWS].tolist()
    return all(type(value) is str for value in sample) and len(set(map(id, sample))) == len(set(sample))


def _factorize_shared(values: pd.Series) -> tuple[IntArray, list[object], str]:
    """Code the objects first, by their addresses, and then their values: a look into a million texts costs far more."""
    objects = np.ascontiguousarray(values.to_numpy())
    addresses = np.ndarray(objects.shape, dtype=np.intp, buffer=objects.data)
    of_objects, distinct = _factorize_integers(_packed(addresses >> 4))  # no two texts begin within the same 16 bytes
    first = np.empty(len(distinct), dtype=np.int64)
    first[of_objects[::-1]] = np.arange(len(objects) - 1, -1, -1)
    order = np.argsort(first)  # addresses differ from run to run, the order of the keys does not
    of_distinct, uniques, kind = _factorize_by_value(pd.Series(objects[first[order]], dtype=object))
    codes = np.empty(len(distinct), dtype=np.int64)
    codes[order] = of_distinct
    return codes.take(of_objects), uniques, kind


def _packed(places: IntArray) -> IntArray:
    """Leave out the parts of the memory in which none of the places lies, so that a table can hold the others."""
    parts = places >> _PART_BITS
    parts -= parts.min()
    n_parts = int(parts.max()) + 1
    if n_parts << _PART_BITS < 4 * len(places) or n_parts > _MOST_PARTS:
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


def _factorize_integers(values: AnyArray) -> tuple[IntArray, AnyArray]:
    """Code integers in ascending order where they lie close together, else in order of appearance."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    if high - low >= 4 * len(values):
        codes, uniques = pd.factorize(values)
        return codes.astype(np.int64, copy=False), uniques
    wide = values if values.dtype == np.uint64 else values.astype(np.int64)  # int8 would overflow
    offsets = (wide - wide.dtype.type(low)).astype(np.int64, copy=False)
    used = np.bincount(offsets, minlength=high - low + 1) > 0
    codes = (np.cumsum(used) - 1).take(offsets, mode="clip")
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
