"""Rows of a window in the bins of their groups' references: integers that add up.

Counts of several workers, of several days, and of groups that make up a parent, are sums of arrays, the same to the
last bit whatever the parts.
"""

from typing import NamedTuple

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.evaluation.drift.bins import SLOTS, category_slots, number_slots
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.tables.grouping import counting_sort

__all__ = ["count_rows"]

# Rows that are looked up at a time: what is made of them stays in the processor's second cache.
_CHUNK_ROWS = 1 << 14


def count_rows(reference: DriftReference, columns: DriftColumns, groups: IntArray) -> AnyArray:
    """Count rows into the bins of their groups.

    Parameters
    ----------
    reference
        Of n_groups groups.
    columns
        Some or all of the reference's columns, of the same kinds, shape (n_rows,) each; others are ignored.
    groups
        Group of each row, shape (n_rows,); -1 for a row that belongs to none.

    Returns
    -------
    ndarray of integers, shape (n_groups, n_columns, 12)
        Rows in each slot, see `metamodel.evaluation.drift.bins`; all zeros for a column that was not given, which is
        how one tells it from one that is missing in every row.

    Examples
    --------
    >>> from metamodel.evaluation.drift.build_reference import build_reference
    >>> reference = build_reference(DriftColumns.of({"price": np.arange(20.0)}), np.zeros(20, dtype=int), 1)
    >>> count_rows(reference, DriftColumns.of({"price": [-1.0, 99.0, np.nan]}), np.zeros(3, dtype=int))[0, 0].tolist()
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
    """
    n_groups = len(reference)
    wide = np.int32 if len(groups) <= np.iinfo(np.int32).max else np.int64
    counts = np.zeros((n_groups, len(reference.columns), SLOTS), dtype=wide)
    chunks = _chunks(groups, n_groups)
    for i, (name, kind, place) in enumerate(zip(reference.columns, reference.kinds, reference.place, strict=True)):
        if name not in columns.values:
            continue
        values, vocabulary = columns.values[name], reference.known.get(name)
        # Of one type with the values, else each edge is brought to it again for every chunk.
        bins: AnyArray = (
            reference.commonest[:, place] if kind == "category" else reference.edges[:, place].astype(np.float64)
        )
        by_place = np.ascontiguousarray(bins.T).T
        for chunk in chunks:
            of_rows = values[chunk.rows] if isinstance(chunk.rows, slice) else values.take(chunk.rows, mode="clip")
            inside = by_place[chunk.first : chunk.last]
            if kind == "number":
                slots = number_slots(of_rows, chunk.sizes, inside)
            else:
                slots = category_slots(of_rows, chunk.groups, inside, vocabulary)
            of_chunk = chunk.last - chunk.first
            in_slots = np.bincount(chunk.groups * SLOTS + slots, minlength=of_chunk * SLOTS)
            counts[chunk.first : chunk.last, i] += in_slots.reshape(-1, SLOTS).astype(wide)
    return counts


class _Chunk(NamedTuple):
    """Some rows of neighbouring groups: which these are, of each row how many groups after the first, rows of each."""

    rows: IntArray | slice
    groups: IntArray
    sizes: IntArray
    first: int
    last: int


def _chunks(groups: IntArray, n_groups: int) -> list[_Chunk]:
    order = _together(groups, n_groups)
    if order is not None:
        groups = groups[order]
    chunks = []
    for start in range(0, len(groups), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        of_rows = groups[rows]
        first, last = int(of_rows[0]), int(of_rows[-1]) + 1
        inside = of_rows - first
        chunks.append(_Chunk(rows if order is None else order[rows], inside, np.bincount(inside), first, last))
    return chunks


def _together(groups: IntArray, n_groups: int) -> IntArray | None:
    """Put rows of one group behind one another, so that they read one place in memory; None where they are."""
    used = groups >= 0
    rows = None if used.all() else np.flatnonzero(used)
    of_row = groups if rows is None else groups[rows]
    if not (of_row[1:] < of_row[:-1]).any():
        return rows
    order = counting_sort(of_row, n_groups)
    return order if rows is None else rows[order]
