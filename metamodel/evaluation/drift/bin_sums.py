"""Sums over the ten bins of many cells, bin by bin: all cells' first bins, then all their second ones, and so on.

Counts of a chunk are held that way round (`by_slot`), since a sum over ten neighbours costs several times as much.
"""

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bins import BINS

__all__ = ["by_slot", "running_sums", "sum_of_bins"]


def by_slot(counts: AnyArray) -> AnyArray:
    """Copy counts, shape (n_groups, n_columns, 12), as floats with the cells of each slot side by side in memory.

    Arrays that are computed of them lie in memory as they do.
    """
    return np.ascontiguousarray(counts.T, dtype=np.float64).T


def running_sums(values: AnyArray) -> AnyArray:
    """Sum up the bins up to each one, shape (..., n_bins)."""
    sums = np.empty_like(values)
    sums[..., 0] = values[..., 0]
    for place in range(1, values.shape[-1]):
        np.add(sums[..., place - 1], values[..., place], out=sums[..., place])
    return sums


def sum_of_bins(values: AnyArray) -> AnyArray:
    """Sum up ten bins, shape (..., 10), in the order in which NumPy adds ten neighbours: the same to the last bit.

    Examples
    --------
    >>> sum_of_bins(np.arange(20.0).reshape(2, 10)).tolist()
    [45.0, 145.0]
    """
    a, b, c, d, e, f, g, h, i, j = (values[..., place] for place in range(BINS))
    result: AnyArray = ((a + b) + (c + d)) + ((e + f) + (g + h)) + i + j
    return result
