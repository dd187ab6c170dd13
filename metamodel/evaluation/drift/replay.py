"""By how much windows of the reference vary more than rows drawn at random.

Tests take rows for independent. Where they depend on one another (weeks in a row are alike, so are the rows of a week),
a window differs from the rest by more than a test allows for, without any drift. So windows of the reference itself are
replayed against the rest of it: the group's rows, in order of time, are cut into 4, 8 and 16 blocks of equal size, and
some of these are compared with all other rows as a window is with a reference. The mean square of what the tests'
statistics then are, in units of the variances that they believe in, is the factor by which these are too small. It is
kept cell by cell and pooled over groups by whoever tests.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.bins import BINS, MISSING, SLOTS, decile_edges, number_slots
from metamodel.evaluation.drift.drift_reference import REPLAYED_BLOCKS, REPLAYED_SCORES
from metamodel.evaluation.drift.number_tests import number_excess

__all__ = ["replay_categories", "replay_numbers"]

# Which of 16, 8 and 4 blocks are replayed: all of the longest, which decide, and one of the shorter ones.
_CHOSEN: Final = {16: (5,), 8: (2,), 4: (0, 1, 2, 3)}

# With fewer rows a block says nothing.
_FEWEST_ROWS: Final = 4

# float16 goes that far.
_LARGEST: Final = 60_000.0


def replay_numbers(values: AnyArray, sizes: IntArray) -> AnyArray:
    """Replay blocks of a column of numbers: each against the deciles of the other rows.

    Parameters
    ----------
    values
        Shape (n_rows,), the rows of each group behind one another, in order of time; NaN is missing.
    sizes
        Rows of each group, shape (n_groups,).

    Returns
    -------
    ndarray of float16, shape (n_groups, 3, 4)
        For 16, 8 and 4 blocks, and each of `REPLAYED_SCORES`; 1 is expected of independent rows. NaN where blocks
        would have less than four rows, or where nothing varies.
    """
    groups = np.repeat(np.arange(len(sizes)), sizes)
    squares = _Squares(len(sizes))
    for place, inside in _blocks(groups, sizes):
        edges = decile_edges(np.where(inside, np.nan, values), sizes)
        slots = number_slots(values, sizes, edges)
        before, now = (_counts(groups[rows], slots[rows], len(sizes)) for rows in (~inside, inside))
        excess, variance = number_excess(before, now)
        ratios = _ratios(excess, variance)
        for score, slot in ((1, 0), (2, BINS - 1)):  # a tail that nobody is ever in says nothing
            ratios[before[:, slot] + now[:, slot] == 0, score] = np.nan
        squares.add(place, ratios[:, 0], _mean_of_two(ratios[:, 1], ratios[:, 2]), ratios[:, 3], _missing(before, now))
    return squares.factors(sizes)


def replay_categories(slots: IntArray, sizes: IntArray) -> AnyArray:
    """Replay blocks of a column of categories: of the slots' middle ranks, and of missing values; see `replay_numbers`.

    Parameters
    ----------
    slots
        Slot of each row, shape (n_rows,), the rows of each group behind one another, in order of time.
    sizes
        Rows of each group, shape (n_groups,).
    """
    groups = np.repeat(np.arange(len(sizes)), sizes)
    squares = _Squares(len(sizes))
    nothing = np.full(len(sizes), np.nan)
    for place, inside in _blocks(groups, sizes):
        before, now = (_counts(groups[rows], slots[rows], len(sizes)) for rows in (~inside, inside))
        squares.add(place, _ratios(*number_excess(before, now))[:, 0], nothing, nothing, _missing(before, now))
    return squares.factors(sizes)


class _Squares:
    """Squares of standardised statistics, summed up."""

    def __init__(self, n_groups: int) -> None:
        self._sums = np.zeros((n_groups, len(REPLAYED_BLOCKS), len(REPLAYED_SCORES)))
        self._numbers = np.zeros(self._sums.shape)

    def add(self, place: int, *ratios: AnyArray) -> None:
        for score, values in enumerate(ratios):
            there = ~np.isnan(values)
            self._sums[there, place, score] += values[there]
            self._numbers[:, place, score] += there

    def factors(self, sizes: IntArray) -> AnyArray:
        enough = sizes[:, None] >= np.array(REPLAYED_BLOCKS) * _FEWEST_ROWS
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(enough[..., None], self._sums / self._numbers, np.nan)
        return np.minimum(means, _LARGEST).astype(np.float16)


def _blocks(groups: IntArray, sizes: IntArray) -> Iterator[tuple[int, BoolArray]]:
    """Which rows are in a block, for each of the chosen ones of each length."""
    starts = np.cumsum(sizes) - sizes
    position = np.arange(len(groups)) - starts[groups]
    for place, number in enumerate(REPLAYED_BLOCKS):
        block = position * number // np.maximum(sizes, 1)[groups]
        for chosen in _CHOSEN[number]:
            yield place, block == chosen


def _counts(groups: IntArray, slots: IntArray, n_groups: int) -> IntArray:
    return np.bincount(groups * SLOTS + slots, minlength=n_groups * SLOTS).reshape(n_groups, SLOTS)


def _ratios(excess: AnyArray, variance: AnyArray) -> AnyArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios: AnyArray = np.where(variance > 1e-9, excess**2 / variance, np.nan)
    return ratios


def _missing(before: IntArray, now: IntArray) -> AnyArray:
    """Do the same with missing values, given how many there are."""
    rows_before, rows = before.sum(axis=1), now.sum(axis=1)
    total = np.maximum(rows_before + rows, 2)
    share = (before[:, MISSING] + now[:, MISSING]) / total
    variance = rows * share * (1 - share) * rows_before / (total - 1)
    return _ratios(now[:, MISSING] - rows * share, variance)


def _mean_of_two(first: AnyArray, second: AnyArray) -> AnyArray:
    """Mean of what is there of two arrays."""
    mean: AnyArray = (np.where(np.isnan(first), second, first) + np.where(np.isnan(second), first, second)) / 2
    return mean
