"""Rows of a table that are found by what names them in other tables: 16 bytes each, whatever their names are.

Names are known by 96 bits of hashes alone: that two of ten million names have the same is as likely as 1 in 10^15.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray
from metamodel.prediction_log.row_ids import id_texts

__all__ = ["NamedRows"]

# Keys of two hashes of one text; pandas wants 16 bytes.
_KEYS: Final = ("names of rows, 1", "names of rows, 2")

# Mixes the names of several columns: which column a name is in counts.
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)


class NamedRows:
    """The rows of a table, found by their names.

    Parameters
    ----------
    parts
        The table, part by part; each has the columns. Read once.
    on
        Columns that name a row, together.

    Examples
    --------
    >>> labels = NamedRows([pd.DataFrame({"row_id": [3]}), pd.DataFrame({"row_id": [1]})], ["row_id"])
    >>> labels.places(pd.DataFrame({"row_id": ["1", "2", None, "3"]})).tolist()
    [1, -1, -1, 0]
    """

    def __init__(self, parts: Iterable[pd.DataFrame], on: Sequence[str]) -> None:
        self._on = list(on)
        first, second, rows = _gathered(parts, self._on)
        order = np.argsort(first, kind="stable")
        if _longest_run(first[order]) > 1:  # names that are doubled, as a rule
            order = np.lexsort((second, first))
        for array in (first, second, rows):  # one at a time in memory twice
            array[:] = array[order]
        self._first, self._second, self._rows = first, second, rows
        self._run = _longest_run(self._first)

    @property
    def doubled(self) -> IntArray:
        """Rows whose name a row before has, in order."""
        again = (self._first[1:] == self._first[:-1]) & (self._second[1:] == self._second[:-1])
        return np.sort(self._rows[1:][again])

    def places(self, frame: pd.DataFrame) -> IntArray:
        """Find the row here of each row of another table, shape (n_rows,); -1 for none. No name may be doubled."""
        first, second, named = _hashes(frame, self._on)
        found = np.full(len(first), -1, dtype=np.int64)
        order = np.argsort(first)  # neighbours are looked for beside one another, which the processor's cache likes
        start = np.empty(len(first), dtype=np.int64)
        start[order] = np.searchsorted(self._first, first[order])
        for further in range(self._run):
            place = np.minimum(start + further, len(self._first) - 1)
            same = (self._first[place] == first) & (self._second[place] == second)
            found[same] = self._rows[place[same]]
        rows = np.full(len(frame), -1, dtype=np.int64)
        rows[named] = found
        return rows


def _gathered(parts: Iterable[pd.DataFrame], on: Sequence[str]) -> tuple[HashArray, AnyArray, IntArray]:
    """Hash the names of all rows that have one; return both hashes, and which rows they are."""
    gathered: list[list[AnyArray]] = [[np.empty(0, kind)] for kind in (np.uint64, np.uint32, np.int32)]
    total = 0
    for part in parts:
        first, second, named = _hashes(part, on)
        named += total
        total += len(part)
        whole = np.int32 if total <= np.iinfo(np.int32).max else np.int64
        for arrays, array in zip(gathered, (first, second, named.astype(whole)), strict=True):
            arrays.append(array)
    return _joined(gathered[0]), _joined(gathered[1]), _joined(gathered[2])


def _joined(arrays: list[AnyArray]) -> AnyArray:
    """Put arrays behind one another, and forget them."""
    whole = np.concatenate(arrays)
    arrays.clear()
    return whole


def _hashes(table: pd.DataFrame, on: Sequence[str]) -> tuple[HashArray, AnyArray, IntArray]:
    """Two hashes of each row's name, of 64 and of 32 bits, and the places of the rows that have a name."""
    columns = [id_texts(table[name]) for name in on]
    named = np.flatnonzero(np.logical_and.reduce([~pd.isna(texts) for texts in columns]))
    both: list[HashArray] = []
    for key in _KEYS:
        hashes = np.zeros(len(named), dtype=np.uint64)
        for texts in columns:
            hashes = hashes * _ODD ^ pd.util.hash_array(texts[named], hash_key=key, categorize=False)
        both.append(hashes)
    return both[0], both[1].astype(np.uint32), named


def _longest_run(ordered: HashArray) -> int:
    """How many equal ones stand behind one another, at most; 0 of nothing."""
    if not len(ordered):
        return 0
    others = ordered[1:] != ordered[:-1]
    return 1 if others.all() else int(np.diff(np.flatnonzero(np.r_[True, others, True])).max())
