"""Where many keys stand in a list of all keys: column by column in Arrow, or key by key."""

import math
from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metamodel.common.arrays import IntArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import GroupKey

__all__ = ["KeyList"]

_Key = GroupKey | InvalidKey

_ARROW_TYPES: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}

# Arrow hashes the whole list for each call: 1/20 of what Python takes for a key that is looked up.
_WORTH_HASHING = 20

# What enumerates the combinations of all columns' values must be an integer of 64 bits.
_MOST_COMBINATIONS = 2**62


class KeyList:
    """All keys of a stack in order, for batches over many groups; safe to share between threads.

    Parameters
    ----------
    keys
        Canonical keys, each once, all of one level.

    Examples
    --------
    >>> KeyList([("FR", 7), ("DE", 7)]).positions([("DE", 7), ("DE", 8), ("FR", 7)]).tolist()
    [1, -1, 0]
    """

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._keys = keys
        self._types = _arrow_types(keys)
        self._distinct: list[pa.Array] = []
        self._combinations: pa.Array | None = None
        columns = self._columns(keys)
        if columns is not None:
            self._distinct = [column.unique() for column in columns]
            if math.prod(map(len, self._distinct)) < _MOST_COMBINATIONS:
                self._combinations = self._combined(columns)

    def positions(self, keys: Sequence[_Key]) -> IntArray:
        """Where each key stands, -1 where it does not."""
        if self._combinations is not None and _WORTH_HASHING * len(keys) >= len(self._keys):
            columns = self._columns(keys)
            if columns is not None:
                return _places(self._combined(columns), self._combinations)
        get = self._places.get
        return np.fromiter((get(key, -1) for key in keys), dtype=np.int64, count=len(keys))

    def _columns(self, keys: Sequence[Any]) -> list[pa.Array] | None:
        """Put keys into one array for each group column; None where they are not of the list's kinds."""
        if self._types is None:
            return None
        try:
            if set(map(len, keys)) != {len(self._types)}:  # of another level; an invalid key has no length
                return None
            return [pa.array(list(map(itemgetter(i), keys)), type=kind) for i, kind in enumerate(self._types)]
        except (TypeError, ValueError, OverflowError):  # invalid, a lone surrogate, a huge integer
            return None

    def _combined(self, columns: Sequence[pa.Array]) -> pa.Array:
        """Enumerate the combinations of values; null where a value does not occur."""
        combined = np.zeros(len(columns[0]), dtype=np.int64)
        known = np.ones(len(columns[0]), dtype=bool)
        for column, distinct in zip(columns, self._distinct, strict=True):
            codes = _places(column, distinct)
            known &= codes >= 0
            combined = combined * len(distinct) + codes
        return pa.array(combined, mask=~known)

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {key: i for i, key in enumerate(self._keys)}


def _arrow_types(keys: Sequence[GroupKey]) -> list[pa.DataType] | None:
    """Arrow's type of each group column; None where one is none of the plain ones, or holds several."""
    lengths = set(map(len, keys))
    if len(lengths) != 1:
        return None
    kinds = [set(map(type, map(itemgetter(i), keys))) for i in range(lengths.pop())]
    types = [_ARROW_TYPES.get(kind.pop()) if len(kind) == 1 else None for kind in kinds]
    return types if types and None not in types else None


def _places(values: pa.Array, among: pa.Array) -> IntArray:
    found = pc.index_in(values, among, skip_nulls=True).fill_null(-1)
    return np.asarray(found).astype(np.int64)
