"""Split a mixed table into groups, and find every row's group again.

The table is factorised once: every row gets the code of its group, every distinct key is brought to the key schema
once, and rows are ordered by code once, so that each group is one contiguous slice. Nothing here knows models.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.messages import did_you_mean, listing
from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.factorize import factorize, factorize_integers
from metamodel.tables.key_values import KeyValue
from metamodel.tables.keys import GroupKey, KeySchema, encode_key, encode_keys, prefixes

__all__ = [
    "Grouping",
    "check_columns",
    "combine_codes",
    "counting_sort",
    "group_rows",
    "group_sizes",
    "key_texts",
    "spread",
]


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

    @cached_property
    def texts(self) -> AnyArray:
        """Each key encoded as text, shape (n_groups,); empty where it is none."""
        texts = np.empty(len(self.keys), dtype=object)
        texts[:] = key_texts(self.keys)
        return texts

    def at_level(self, level: int) -> "Grouping":
        """Group by the first `level` group columns only; level 0 is one group of all rows. Invalid keys stay apart."""
        if all(not isinstance(key, tuple) or len(key) <= level for key in self.keys):
            return self
        places: dict[GroupKey | InvalidKey, int] = {}
        coarser = [places.setdefault(key, len(places)) for key in prefixes(self.keys, level)]
        return Grouping(list(places), np.asarray(coarser, dtype=np.int64)[self.codes])


def key_texts(keys: Sequence[GroupKey | InvalidKey]) -> list[str]:
    """Encode keys as text; empty where one is none.

    Examples
    --------
    >>> key_texts([("FR", 7), ("DE", 8)])
    ['["FR",7]', '["DE",8]']
    """
    if len(keys) == 1:  # a row by itself
        return [encode_key(keys[0]) if isinstance(keys[0], tuple) else ""]
    valid = [key for key in keys if isinstance(key, tuple)]
    texts = encode_keys(valid)
    if len(valid) == len(keys):
        return texts
    encoded = iter(texts)
    return [next(encoded) if isinstance(key, tuple) else "" for key in keys]


def counting_sort(codes: IntArray, n_codes: int) -> IntArray:
    """Positions that sort codes from 0 to `n_codes` - 1; equal ones keep their order."""
    # NumPy sorts 16-bit integers by radix, in linear time: 14 times faster than 64-bit ones. Larger codes are sorted
    # by their low half, then by their high half.
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    for shift in range(16, max(n_codes - 1, 0).bit_length(), 16):
        order = order[np.argsort((codes >> shift).astype(np.uint16)[order], kind="stable")]
    return order


def group_sizes(sizes: Iterable[int]) -> dict[str, float]:
    """How unequal the groups are: the smallest, the median and the largest one, and the Gini coefficient of their rows.

    The coefficient is 0 for groups of one size, and near 1 where one group has nearly all rows.

    Examples
    --------
    >>> group_sizes([10, 10, 10])["group_rows_gini"], group_sizes([1, 1, 1, 97])["group_rows_gini"]
    (0.0, 0.72)
    """
    rows = np.sort(np.fromiter(sizes, dtype=np.int64))
    ranks = np.arange(1, len(rows) + 1)
    return {
        "group_rows_min": int(rows[0]),
        "group_rows_median": float(np.median(rows)),
        "group_rows_max": int(rows[-1]),
        "group_rows_gini": float(((2 * ranks - len(rows) - 1) @ rows) / (len(rows) * rows.sum())),
    }


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
            f"{did_you_mean(missing, frame.columns)}"
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
    codes, parts = combine_codes([codes for codes, _ in encoded], [len(uniques) for _, uniques in encoded])
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


def combine_codes(columns: list[IntArray], sizes: list[int]) -> tuple[IntArray, list[IntArray]]:
    """Enumerate the combinations of several columns; `parts[i][c]` is column i's code in combination c.

    `sizes` are the numbers of codes in each column, all of which occur.
    """
    codes, parts = columns[0], [np.arange(sizes[0])]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        codes, combined = factorize_integers(codes * size + column)
        parts = [part[combined // size] for part in parts] + [combined % size]
    return codes, parts


def _encode_column(values: pd.Series, schema: KeySchema, position: int) -> tuple[IntArray, list[KeyValue | InvalidKey]]:
    """Bring a column to its kind: a code for each row, and what each code stands for."""
    codes, raw, kind = factorize(values)
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
