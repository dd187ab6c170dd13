"""By how much windows of the reference vary more than rows drawn at random ones.

Tests take rows for independent. Where they depend on one another, a window differs from the rest by more than a test
allows for, without any drift. So windows of the reference itself are replayed against the rest of it: the group's rows,
in order of time, are cut into 4, 8 and 16 blocks of equal size, and each block's mean score is compared with the mean
of the others. The mean of the squared differences, in units of what rows drawn at random would show, is the factor by
which a variance is too small. It is kept cell by cell and pooled over groups by whoever tests.
"""

from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["REPLAYED_BLOCKS", "REPLAYED_SCORES", "replayed"]

REPLAYED_BLOCKS: Final = (16, 8, 4)

# What is replayed: the middle rank of the slot, being in the first or last bin, being missing.
REPLAYED_SCORES: Final = ("rank", "tail", "missing")

# With fewer rows a block's mean says nothing.
_FEWEST_ROWS: Final = 4

# float16 goes that far.
_LARGEST: Final = 60_000.0


def replayed(scores: AnyArray, usable: AnyArray, starts: IntArray, sizes: IntArray) -> AnyArray:
    """Replay blocks of each group's rows against its other rows.

    Parameters
    ----------
    scores
        Shape (n_rows,): the rows of each group behind one another, in order of time.
    usable
        Shape (n_rows,): whether the row counts.
    starts, sizes
        First row, and number of rows, of each group, shape (n_groups,).

    Returns
    -------
    ndarray of float16, shape (n_groups, 3)
        For 16, 8 and 4 blocks the mean over the blocks of (block mean - mean of the others)² / its variance among rows
        drawn without replacement; 1 is expected of independent rows. NaN where blocks would have less than four rows,
        or where nothing varies.
    """
    n_groups, blocks = len(sizes), REPLAYED_BLOCKS[0]
    groups = np.repeat(np.arange(n_groups), sizes)
    block = (np.arange(len(scores)) - starts[groups]) * blocks // np.maximum(sizes, 1)[groups]
    cell = (groups * blocks + block)[usable]
    score = scores[usable].astype(np.float64)
    shape = (n_groups, blocks)
    number = np.bincount(cell, minlength=n_groups * blocks).reshape(shape).astype(np.float64)
    total = np.bincount(cell, weights=score, minlength=n_groups * blocks).reshape(shape)
    squares = np.bincount(groups[usable], weights=score**2, minlength=n_groups)
    rows, sums = number.sum(axis=1), total.sum(axis=1)
    factors = np.full((n_groups, len(REPLAYED_BLOCKS)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (squares - sums**2 / rows) / (rows - 1)
        for i, parts in enumerate(REPLAYED_BLOCKS):
            inside, summed = (array.reshape(n_groups, parts, -1).sum(axis=2) for array in (number, total))
            others = rows[:, None] - inside
            difference = summed / inside - (sums[:, None] - summed) / others
            factor = (difference**2 / (1 / inside + 1 / others)).mean(axis=1) / variance
            enough = (rows >= parts * _FEWEST_ROWS) & (inside > 0).all(axis=1) & (variance > 1e-12)
            factors[enough, i] = factor[enough]
    return np.minimum(factors, _LARGEST).astype(np.float16)
