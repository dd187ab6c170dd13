"""Edges, counts, tails and moments of columns of numbers, of many groups at once.

Groups of about one size are cells of one matrix, a row a cell (a group and a column), whose rows are sorted once: then
edges are places in it, counts the distances between these places, and sums those of what lies between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.bins import BINS, MISSING, SLOTS, decile_places, groups_alike, rounded_edges

__all__ = ["RecordedNumbers", "record_numbers"]

# Values that are looked at together: what is made of them stays in the processor's cache.
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class RecordedNumbers:
    """What is kept of columns of numbers; the arrays are those of `DriftReference`.

    Attributes
    ----------
    edges, counts, tails, moments
        Shape (n_groups, n_numbers, 9), (..., 12), (..., 2), (..., 2).
    """

    edges: AnyArray
    counts: AnyArray
    tails: AnyArray
    moments: AnyArray


def record_numbers(columns: Sequence[AnyArray], order: IntArray, sizes: IntArray) -> RecordedNumbers:
    """Record columns of numbers.

    Parameters
    ----------
    columns
        Float, shape (n_rows,) each; NaN is missing.
    order
        Which rows count, those of each group behind one another.
    sizes
        Rows of each group, shape (n_groups,), in that order.
    """
    shape = (len(sizes), len(columns))
    result = RecordedNumbers(
        np.full((*shape, BINS - 1), np.nan, dtype=np.float32),
        np.zeros((*shape, SLOTS), dtype=np.uint32),
        np.full((*shape, 2), np.nan, dtype=np.float32),
        np.full((*shape, 2), np.nan, dtype=np.float32),
    )
    starts = np.cumsum(sizes) - sizes
    for groups in groups_alike(sizes, _CHUNK):
        place = np.arange(int(sizes[groups[-1]]))
        inside = place < sizes[groups][:, None]
        rows = order[np.where(inside, starts[groups][:, None] + place, 0)]
        at_a_time = max(1, _CHUNK // inside.size)
        for first in range(0, len(columns), at_a_time):
            some = slice(first, first + at_a_time)
            cells = _SortedCells(columns[some], rows, inside)
            recorded = cells.edges, cells.counts(), *cells.tails_and_moments()
            for whole, part in zip(vars(result).values(), recorded, strict=True):
                whole[groups, some] = part.reshape(len(cells.columns), len(groups), -1).swapaxes(0, 1)
    return result


class _SortedCells:
    """The sorted values of some columns of some groups: a row a cell, missing values last."""

    def __init__(self, columns: Sequence[AnyArray], rows: IntArray, inside: BoolArray) -> None:
        self.columns = columns
        # One value more: the end of the last cell is a place, too.
        self._flat = np.zeros(len(columns) * rows.size + 1)
        self._values = self._flat[:-1].reshape(-1, rows.shape[1])
        for values, column in zip(self._values.reshape(len(columns), *rows.shape), columns, strict=True):
            values[:] = column[rows]
            if not inside.all():
                values[~inside] = np.nan
        self._values.sort(axis=1)
        self._sizes = np.tile(inside.sum(axis=1), len(columns))
        self._there = rows.shape[1] - _counted(self._values, np.isnan, self._values[:, -1])
        self._starts = np.arange(len(self._values)) * rows.shape[1]
        self._places = decile_places(self._there)
        self.edges = np.full(self._places.shape, np.nan, dtype=np.float32)
        some = self._there > 0
        self.edges[some] = rounded_edges(self._flat[(self._starts[:, None] + self._places)[some]])
        self._below = self._rows_below()

    def _rows_below(self) -> IntArray:
        """Values below each edge: as many as its place says, where they differ; where not, it is searched for."""
        upper = np.arange(1, BINS) > BINS // 2
        there = self._there[:, None]
        below = np.minimum(self._places + upper, there)
        last = self._flat[self._starts[:, None] + np.maximum(below - 1, 0)]
        following = self._flat[self._starts[:, None] + np.minimum(below, np.maximum(there - 1, 0))]
        with np.errstate(invalid="ignore"):
            right = ((below == 0) | (last < self.edges)) & ((below == there) | (following >= self.edges))
        cell, edge = np.nonzero(~right & ~np.isnan(self.edges))
        below[cell, edge] = self._searched(cell, self.edges[cell, edge])
        return np.where(np.isnan(self.edges), there, below)  # nothing lies above such an edge

    def _searched(self, cells: IntArray, edges: AnyArray) -> IntArray:
        low, high = np.zeros(len(cells), dtype=np.int64), self._there[cells].astype(np.int64)
        for _ in range(int(self._values.shape[1]).bit_length()):
            middle = (low + high) // 2
            goes_on = low < high
            smaller = goes_on & (self._flat[self._starts[cells] + middle] < edges)
            low = np.where(smaller, middle + 1, low)
            high = np.where(goes_on & ~smaller, middle, high)
        return low

    def counts(self) -> AnyArray:
        """Values in each slot, shape (n_cells, 12)."""
        counts = np.zeros((len(self._values), SLOTS), dtype=np.uint32)
        ends = np.concatenate([np.zeros_like(self._below[:, :1]), self._below, self._there[:, None]], axis=1)
        counts[:, :BINS] = np.diff(ends, axis=1)
        counts[:, MISSING] = self._sizes - self._there
        return counts

    def tails_and_moments(self) -> tuple[AnyArray, AnyArray]:
        """Mean of the first and of the last bin; mean and standard deviation: of finite values, float32."""
        largest = self._flat[self._starts + np.maximum(self._there - 1, 0)]
        first = _counted(self._values, np.isneginf, self._values[:, 0])
        last = self._there - _counted(self._values, np.isposinf, largest)
        ends = [first, np.clip(self._below[:, 0], first, last), np.clip(self._below[:, -1], first, last), last]
        places = np.stack(ends, axis=1)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            sums = self._sums(places)
            numbers = np.diff(places, axis=1)
            mean = sums.sum(axis=1) / numbers.sum(axis=1)
            lowest, highest = (self._flat[self._starts + place] for place in (first, np.maximum(last - 1, 0)))
            mean = np.where(lowest == highest, lowest, mean)  # of one value alone nothing is rounded
            self._values -= mean[:, None]
            self._values *= self._values
            variance = self._sums(places[:, [0, 3]])[:, 0] / numbers.sum(axis=1)
            tails = (sums / numbers)[:, [0, 2]].astype(np.float32)
            return tails, np.stack([mean, np.sqrt(variance)], axis=1).astype(np.float32)

    def _sums(self, places: IntArray) -> AnyArray:
        """Add up the values between each cell's places, each by itself: sums depend on nothing but these values."""
        sums = np.add.reduceat(self._flat, (self._starts[:, None] + places).reshape(-1)).reshape(places.shape)[:, :-1]
        return np.where(np.diff(places, axis=1) > 0, sums, 0.0)


def _counted(values: AnyArray, test: Callable[[AnyArray], AnyArray], outermost: AnyArray) -> IntArray:
    """Count the values of each cell that pass a test; none where the outermost ones do not."""
    if not test(outermost).any():
        return np.zeros(len(values), dtype=np.int64)
    counted: IntArray = test(values).sum(axis=1)
    return counted
