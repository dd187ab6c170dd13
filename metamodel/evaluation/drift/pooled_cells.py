"""Cells of many groups added up, to see whether a column changed in a parent, or everywhere.

Each group is compared with its own reference, and what is above expectation is added up, with its variance: a
stratified test (van Elteren, 1960, for ranks; Mantel and Haenszel, 1959, for counts). Groups too small for tests of
their own count, and a parent does not change because its groups' shares of the rows do.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from scipy import sparse
from scipy.special import ndtr

from metamodel.common.arrays import AnyArray, BoolArray, IntArray, as_matrix
from metamodel.evaluation.drift.bins import MISSING, SLOTS, UNSEEN
from metamodel.evaluation.drift.multiple_testing import simes

__all__ = ["CellSums", "pooled_p_values"]

# Statistics of cells of numbers: see `number_tests.NumberCells`.
_OF_NUMBERS: Final = 4


@dataclass
class CellSums:
    """What is added up, of groups or of parents.

    Attributes
    ----------
    rows
        Shape (n, n_columns): rows of the window in cells that have a reference.
    excess, variance
        Shape (n, n_columns, 12): of numbers the four statistics of `number_tests`, of categories the rows of ten slots;
        then, of both, unseen categories and missing values: what is above expectation, and its variance, which the
        variance factors are in already.
    squares
        Shape (n, n_columns, 12): squares of the groups' excesses. Where groups differ from one another by more than
        chance does, these are the variance: a few groups far away are no change of all (Liang and Zeger, 1986).
    moves
        Shape (n, n_columns, 10), times the rows: moves of the distribution function (of numbers), or of the slots'
        shares (of categories).
    rises
        Shape (n, n_columns, 2), times the rows: rise of the shares of unseen categories and of missing values.
    """

    rows: AnyArray
    excess: AnyArray
    variance: AnyArray
    squares: AnyArray
    moves: AnyArray
    rises: AnyArray

    @classmethod
    def zeros(cls, n: int, n_columns: int) -> Self:
        """Nothing, of n parents."""
        shape = (n, n_columns)
        return cls(
            np.zeros(shape),
            np.zeros((*shape, SLOTS)),
            np.zeros((*shape, SLOTS)),
            np.zeros((*shape, SLOTS)),
            np.zeros((*shape, SLOTS - 2)),
            np.zeros((*shape, 2)),
        )

    def add(self, groups: "CellSums", parents: IntArray) -> None:
        """Add groups to their parents; a parent of -1 is none."""
        used = np.flatnonzero(parents >= 0)
        shape = (len(self.rows), len(parents))
        matrix = sparse.csr_array((np.ones(len(used)), (parents[used], used)), shape=shape)
        for field in fields(self):
            total, values = getattr(self, field.name), getattr(groups, field.name)
            total += (matrix @ as_matrix(values)).reshape(total.shape)

    def less(self, others: "CellSums") -> "CellSums":
        """Leave out what some groups added."""
        return CellSums(*(getattr(self, field.name) - getattr(others, field.name) for field in fields(self)))

    def effects(self) -> tuple[AnyArray, AnyArray]:
        """Mean move, shape (n, n_columns), and mean rises, shape (n, n_columns, 2)."""
        rows = np.maximum(self.rows, 1)[..., None]
        return np.abs(self.moves / rows).sum(axis=-1), self.rises / rows


def pooled_p_values(sums: CellSums, numbers: BoolArray, upward: BoolArray) -> tuple[AnyArray, AnyArray]:
    """Test parents.

    Parameters
    ----------
    sums
        Of the parents.
    numbers, upward
        Shape (n_columns,): which columns are numbers, and of which only larger values are of interest.

    Returns
    -------
    distribution : ndarray, shape (n, n_columns)
        p-values of the distribution; NaN without rows.
    others : ndarray, shape (n, n_columns, 2)
        p-values of unseen categories and of missing values.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        z = sums.excess / np.sqrt(np.maximum(sums.variance, sums.squares))
    untested = sums.variance < 1e-9
    z = np.where(untested, 0.0, z)
    above, two_sided = ndtr(-z), 2 * ndtr(-np.abs(z))
    place = np.arange(SLOTS)
    p_values = np.where(numbers[:, None], above, two_sided)
    p_values[..., 0] = np.where(numbers & ~upward, two_sided[..., 0], p_values[..., 0])
    tests = np.where(numbers[:, None], place < _OF_NUMBERS, place < UNSEEN)
    tests &= ~(numbers & upward)[:, None] | (place == 0) | (place == 2)
    p_values = np.where(tests & ~untested, p_values, np.nan)
    some = sums.rows > 0
    distribution = np.where(some, np.nan_to_num(simes(p_values[..., :UNSEEN]), nan=1.0), np.nan)
    others = np.where(some[..., None], np.where(untested, 1.0, above)[..., UNSEEN : MISSING + 1], np.nan)
    return distribution, others
