"""Bins of many groups at once: each group's own deciles, or its own commonest categories, and which bin a row is in.

Every cell (a group and a column) has the same `SLOTS` slots, so that counts of all columns stand in one array. Of a
number: ten bins between decile edges. Of a category: the nine commonest ones and all others. Then, of both, values
that no training row of any group had (categories alone), and missing ones.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, HashArray, IntArray, is_among

__all__ = [
    "BINS",
    "COMMONEST",
    "MISSING",
    "OTHER",
    "SLOTS",
    "UNSEEN",
    "category_slots",
    "commonest_categories",
    "decile_edges",
    "decile_places",
    "groups_alike",
    "number_slots",
    "rounded_edges",
]

BINS: Final = 10

COMMONEST: Final = 9

# Slot of the categories beyond the commonest ones; of a number it is the bin from the ninth decile on.
OTHER: Final = 9

UNSEEN: Final = 10

MISSING: Final = 11

SLOTS: Final = 12

# Values of a padded matrix that are sorted at a time.
_CHUNK = 1 << 21


def decile_edges(values: AnyArray, sizes: IntArray) -> AnyArray:
    """Find the nine edges between the tenths of each group's values.

    Edges are order statistics, rounded to float32 such that a value of a group lies on the side on which it would lie
    without rounding: of the lower five a value on the edge lies above it, of the upper four below. So the rows below
    the first edge, and those from the last one on, are each at most a tenth, whatever the ties; of a column that is
    zero in nine of ten rows the last bin holds the others.

    Parameters
    ----------
    values
        Float, shape (n_rows,), the rows of each group behind one another; NaN is missing.
    sizes
        Rows of each group, shape (n_groups,), in that order.

    Returns
    -------
    ndarray of float32, shape (n_groups, 9)
        NaN for a group without a value.

    Examples
    --------
    >>> decile_edges(np.arange(20.0), np.array([20]))[0, [0, 4, 8]].tolist()
    [2.0, 10.0, 17.000001907348633]
    """
    ordered = _sorted_within(values, sizes)
    starts = np.cumsum(sizes) - sizes
    there = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[~np.isnan(values)], minlength=len(sizes))
    edges = np.full((len(sizes), BINS - 1), np.nan, dtype=np.float32)
    usable = there > 0
    edges[usable] = rounded_edges(ordered[(starts[:, None] + decile_places(there))[usable]])
    return edges


_TENTHS = np.arange(1, BINS)

_UPPER = _TENTHS > BINS // 2


def decile_places(there: IntArray) -> IntArray:
    """Say which of each group's sorted values are its edges, shape (n_groups, 9); 0 for a group without a value."""
    places = there[:, None] * _TENTHS // BINS
    places[:, _UPPER] = -(-there[:, None] * _TENTHS[_UPPER] // BINS) - 1
    return np.maximum(places, 0)


def rounded_edges(exact: AnyArray) -> AnyArray:
    """Round edges to float32, so that each value lies on the side of them on which it lay, shape (n_groups, 9)."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    below = np.where(rounded > exact, np.nextafter(rounded, low), rounded)
    above = np.where(rounded <= exact, np.nextafter(rounded, high), rounded)
    above[exact == np.inf] = np.nan  # nothing lies above it
    return np.where(_UPPER, above, below) + np.float32(0)  # there is one zero


def _sorted_within(values: AnyArray, sizes: IntArray) -> AnyArray:
    """Sort each group's values, NaN last: groups of about one size as a padded matrix."""
    result = np.empty(len(values), dtype=np.float64)
    starts = np.cumsum(sizes) - sizes
    for groups in groups_alike(sizes, _CHUNK):
        columns = np.arange(int(sizes[groups[-1]]))
        inside = columns < sizes[groups][:, None]
        rows = (starts[groups][:, None] + columns)[inside]
        padded = np.full(inside.shape, np.nan)
        padded[inside] = values[rows]
        padded.sort(axis=1)
        result[rows] = padded[inside]
    return result


def groups_alike(sizes: IntArray, values: int) -> Iterator[IntArray]:
    """Cut groups into parts of about one size, within a quarter, and of about so many rows; none has no row.

    The groups of a part come from the smallest to the largest.
    """
    by_size = np.argsort(sizes, kind="stable")
    by_size = by_size[np.searchsorted(sizes[by_size], 1) :]
    first = 0
    while first < len(by_size):
        smallest = int(sizes[by_size[first]])
        largest = smallest + smallest // 4
        last = int(np.searchsorted(sizes[by_size], largest, side="right"))
        last = min(last, first + max(1, values // largest))
        yield by_size[first:last]
        first = last


def number_slots(values: AnyArray, sizes: IntArray, edges: AnyArray) -> IntArray:
    """Find the slot of each row by its own group's edges: the number of edges at or below it.

    Parameters
    ----------
    values
        Float, shape (n_rows,), the rows of each group behind one another; NaN is missing.
    sizes
        Rows of each group, shape (n_groups,), in that order.
    edges
        From `decile_edges`, shape (n_groups, 9).

    Returns
    -------
    ndarray of int8, shape (n_rows,)

    Examples
    --------
    >>> edges = decile_edges(np.arange(20.0), np.array([20]))
    >>> number_slots(np.array([-1.0, 10.0, 99.0, np.nan]), np.array([4]), edges).tolist()
    [0, 5, 9, 11]
    """
    slots: AnyArray = np.zeros(len(values), dtype=np.int8)
    by_edge = np.ascontiguousarray(edges.T, dtype=np.float64)  # of one type with the values, else each is cast anew
    above = np.empty(len(values), dtype=bool)
    one_above = above.view(np.int8)
    with np.errstate(invalid="ignore"):
        for edge in by_edge:
            np.greater_equal(values, edge.repeat(sizes), out=above)  # half the time of looking edges up row by row
            slots += one_above
    slots[np.isnan(values)] = MISSING
    return slots


def commonest_categories(hashes: HashArray, groups: IntArray, n_groups: int) -> HashArray:
    """Find each group's nine commonest categories, the commonest first; of equally common ones the smaller hash.

    Parameters
    ----------
    hashes
        Category of each row as from `drift_columns.hash_categories`, shape (n_rows,); 0 is missing.
    groups, n_groups
        Group of each row, and how many there are.

    Returns
    -------
    ndarray of uint64, shape (n_groups, 9)
        0 where a group has fewer categories.
    """
    commonest = np.zeros((n_groups, COMMONEST), dtype=np.uint64)
    there = hashes != 0
    order = np.lexsort((hashes[there], groups[there]))
    of_group, category = groups[there][order], hashes[there][order]
    if not len(order):
        return commonest
    first = np.flatnonzero(np.r_[True, (of_group[1:] != of_group[:-1]) | (category[1:] != category[:-1])])
    number = np.diff(np.r_[first, len(order)])
    of_group, category = of_group[first], category[first]
    order = np.lexsort((category, -number, of_group))
    of_group, category = of_group[order], category[order]
    begins = np.flatnonzero(np.r_[True, of_group[1:] != of_group[:-1]])
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.r_[begins, len(order)]))
    kept = rank < COMMONEST
    commonest[of_group[kept], rank[kept]] = category[kept]
    return commonest


def category_slots(hashes: HashArray, groups: IntArray, commonest: HashArray, vocabulary: HashArray | None) -> IntArray:
    """Find the slot of each row: the place of its category among its group's commonest ones, or `OTHER`.

    Parameters
    ----------
    hashes, groups
        Category and group of each row, shape (n_rows,).
    commonest
        From `commonest_categories`, shape (n_groups, 9).
    vocabulary
        All categories of the training rows of all groups, sorted; what is not among them is `UNSEEN`. None where
        these are too many to be known.

    Returns
    -------
    ndarray of int8, shape (n_rows,)
    """
    slots: AnyArray = np.full(len(hashes), OTHER, dtype=np.int8)
    if vocabulary is not None:
        slots[~is_among(hashes, vocabulary)] = UNSEEN
    for place, category in enumerate(np.ascontiguousarray(commonest.T)):
        slots[hashes == category[groups]] = place
    slots[hashes == 0] = MISSING
    return slots
