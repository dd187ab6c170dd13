"""Which share of new rows is to be expected below each edge of a reference, if nothing changed, ties and all."""

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray
from metamodel.evaluation.drift.bin_sums import running_sums
from metamodel.evaluation.drift.bins import BINS

__all__ = ["expected_distribution", "tied_edges"]


def tied_edges(edges: AnyArray) -> BoolArray:
    """Say which edges lie on a value that is so common that its neighbour lies there, too, shape (..., 9).

    Examples
    --------
    >>> tied_edges(np.array([0, 0, 0, 1, 2, 3, 4, 5, 6], dtype=np.float32)).tolist()[:4]
    [True, True, True, False]
    """
    edges = edges.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        # Of one value a lower edge is rounded down and an upper one up: they may differ by two of the last bits.
        reach = np.nextafter(np.nextafter(edges[..., :-1], np.float32(np.inf)), np.float32(np.inf))
        together = edges[..., 1:] <= reach
    ties = np.zeros(edges.shape, dtype=bool)
    ties[..., :-1] = together
    ties[..., 1:] |= together
    return ties


def expected_distribution(counts: AnyArray, ties: BoolArray) -> AnyArray:
    """Say which share of new rows is expected below each edge: a tail holds one block more than it has rows.

    The m rows of a reference cut the line into m + 1 blocks. Where many rows have the value of an edge there is no
    block between them and it: of new rows as large a share has that value as of the reference's, and as large a one
    lies beyond.

    Parameters
    ----------
    counts
        Of the reference, shape (..., 12).
    ties
        From `tied_edges`, shape (..., 9).
    """
    below = running_sums(counts[..., :BINS].astype(np.float64, copy=False))
    total, half = below[..., -1:], BINS // 2
    lower, upper = below[..., :half], total - below[..., half:-1]
    expected = np.empty_like(below[..., :-1])
    with np.errstate(invalid="ignore"):
        expected[..., :half] = np.where(ties[..., :half], lower / total, (lower + (lower > 0)) / (total + 1))
        expected[..., half:] = 1 - np.where(ties[..., half:], upper / total, (upper + (upper > 0)) / (total + 1))
    return expected
