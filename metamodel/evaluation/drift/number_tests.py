"""Did the numbers of a cell change? A test of normal scores in the reference's bins, and exact counts in its tails."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.bin_sums import running_sums, sum_of_bins
from metamodel.evaluation.drift.bins import BINS, SLOTS
from metamodel.evaluation.drift.exact_tails import at_least_beta_binomial, beta_binomial_moments
from metamodel.evaluation.drift.expected_shares import expected_distribution
from metamodel.evaluation.drift.known_tails import TailMemory
from metamodel.evaluation.drift.multiple_testing import simes

__all__ = ["NumberCells", "chance_windows", "number_cells", "number_excess"]

# Where one bin holds more of the reference's rows, ranks are far from normal, and exact counts replace them.
_TIED: Final = 0.5

# The m rows of a reference cut the line into m + 1 blocks, each of which a new row enters with equal chance. By where
# the edges lie (`decile_edges`) both outer bins hold one block more than rows, and the one between the two kinds of
# edges one less: of few rows the outer ones, where ranks lie furthest from the middle, are entered clearly more often
# than the reference's own rows lie there.
_BLOCKS_MORE: Final = np.array([1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0])

# Ranks count as much as the three counts: most changes move the middle.
_WEIGHTS: Final = np.array([3.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class NumberCells:
    """Tests of cells of numbers.

    Attributes
    ----------
    p_value
        Shape of the cells; NaN where the reference, or the window, has no value.
    excess, variance
        Shape (..., 4): of the sum of scores (in standard deviations of a normal law), of the rows below the first
        edge, from the last one on, and in both, what is above the expectation, and its variance. They add up over
        groups.
    """

    p_value: AnyArray
    excess: AnyArray
    variance: AnyArray


def number_cells(
    before: AnyArray,
    now: AnyArray,
    factors: AnyArray,
    upward: BoolArray,
    known: TailMemory | None = None,
    ties: BoolArray | None = None,
) -> NumberCells:
    """Test cells of numbers: Simes' combination of four tests.

    - The sum of normal scores (van der Waerden, 1952): each row counts as the normal quantile of its bin's middle rank
      in the reference. Ranks themselves have a largest value soon, so that rows that moved by a standard deviation look
      as if they had moved by less. Given the reference, whose edges are order statistics, the rows of a window
      fall into its bins as a Dirichlet-multinomial law says: that gives mean and variance with the reference's own
      noise in it. The sum is taken for normal (docs/decisions/0026: as seldom far out, at 1e-8 too); where one bin
      holds more than half of the reference, the exact counts below and above it take its place.
    - Exact counts below the first decile, above the last one, and in both: changes of spread, mixtures, other units.

    Parameters
    ----------
    before, now
        Counts of the reference and of the window, shape (n_groups, n_columns, 12).
    factors
        Variance factors of ranks, of one tail and of both, shape (n_groups, n_columns, 3 or more).
    upward
        Shape (n_columns,): whether only larger values are of interest.
    known
        Tails that were summed up before, of beta-binomial laws.
    ties
        From `expected_shares.tied_edges`, shape (n_groups, n_columns, 9); None where no value is common.
    """
    old, new = (counts[..., :BINS].astype(np.float64, copy=False) for counts in (before, now))
    rows_before, rows = old.sum(axis=-1), new.sum(axis=-1)
    tested = (rows_before > 0) & (rows > 0)
    tails = _tail_counts(old, new)
    excess, variance = _excess(old, new, rows_before, rows, tails)
    ranks = _rank_p_values(excess[..., 0], variance[..., 0] * factors[..., 0], upward)
    tied = (old.max(axis=-1) > _TIED * rows_before) & tested
    if tied.any():
        if ties is not None:
            excess[tied, 0] -= _more_by_ties(old[tied], new[tied], ties[tied])
        one_sided = np.broadcast_to(upward, tied.shape)[tied]
        ranks[tied] = _around_tie(old[tied], new[tied], one_sided, factors[..., 0][tied], known)
    p_values = np.empty((*ranks.shape, len(_WEIGHTS)), order="F")
    p_values[..., 0] = ranks
    blocks, inside = (np.stack(parts, axis=-1) for parts in zip(*tails, strict=True))
    p_values[..., 1:] = _at_least(inside, rows, blocks, rows_before + 1, factors[..., [1, 1, 2]], known)
    p_values[..., upward, 1::2] = np.nan
    p_value = np.where(tested, simes(p_values, _WEIGHTS), np.nan)
    return NumberCells(p_value, excess, variance)


def number_excess(before: AnyArray, now: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Say how far the four statistics are above their expectation, and their variances; see `NumberCells`.

    0 where the reference, or the window, has no value.
    """
    old, new = (counts[..., :BINS].astype(np.float64, copy=False) for counts in (before, now))
    return _excess(old, new, old.sum(axis=-1), new.sum(axis=-1), _tail_counts(old, new))


def chance_windows(before: AnyArray, rows: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw windows in which nothing changed, by the law that `number_cells` takes the bins' counts to have.

    Parameters
    ----------
    before
        Counts of the references, shape (n_cells, 12).
    rows
        Rows of each window, shape (n_cells,).
    rng
        Where chance comes from.

    Returns
    -------
    ndarray of int, shape (n_cells, 12)
        No value is missing.
    """
    shares = rng.standard_gamma(np.maximum(before[:, :BINS] + _BLOCKS_MORE, 0.0))
    shares /= shares.sum(axis=1, keepdims=True)
    counts = np.zeros((len(rows), SLOTS), dtype=np.int64)
    counts[:, :BINS] = rng.multinomial(rows, shares)
    return counts


def _excess(
    old: AnyArray, new: AnyArray, rows_before: AnyArray, rows: AnyArray, tails: list[tuple[AnyArray, AnyArray]]
) -> tuple[AnyArray, AnyArray]:
    excess, variance = (np.zeros((*rows.shape, 4), order="F") for _ in range(2))
    excess[..., 0], variance[..., 0] = _score_sums(old, new, rows_before, rows)
    for i, (blocks, inside) in enumerate(tails, start=1):
        mean, spread = beta_binomial_moments(rows, blocks, np.maximum(rows_before + 1 - blocks, 0.5))
        excess[..., i], variance[..., i] = inside - mean, spread
    untested = (rows_before == 0) | (rows == 0)
    excess[untested], variance[untested] = 0.0, 0.0
    return excess, variance


def _at_least(
    inside: AnyArray,
    rows: AnyArray,
    blocks: AnyArray,
    all_blocks: AnyArray,
    factors: AnyArray,
    known: TailMemory | None,
) -> AnyArray:
    """Exact tails of counts, shape (..., n_tails); where rows depend on one another, of as many rows as they are worth.

    So the law keeps its shape: that of few rows is the more skewed.
    """
    outside = np.maximum(all_blocks[..., None] - blocks, 0.5)
    count = np.floor(inside / factors)
    return at_least_beta_binomial(count, rows[..., None] / factors, blocks / factors, outside / factors, known)


# Normal quantiles of ranks, as shares from 0 to 1, in so many steps: a million cells have ten million of them.
_QUANTILES: Final = ndtri((np.arange(4096) + 0.5) / 4096)


def _scores(old: AnyArray, rows_before: AnyArray) -> AnyArray:
    """Give the normal quantile of each bin's middle rank."""
    middle = (running_sums(old) - old / 2 + 0.5) / (rows_before + 1)[..., None]
    scores: AnyArray = _QUANTILES[(middle * len(_QUANTILES)).astype(np.intp)]
    return scores


def _more_by_ties(old: AnyArray, new: AnyArray, ties: BoolArray) -> AnyArray:
    """Say by how much the sum of scores is expected to be above the reference's own, in cells with common values.

    Both outer bins hold a block more than rows, which is as much more on both sides. Beside a common value there is no
    such block: in a column of zeros and some positive rows, new ones lie in the last bin more often than old ones, and
    nowhere less often. A group has not the rows to tell; thousands of them under a parent have.
    """
    rows_before, rows = old.sum(axis=-1), new.sum(axis=-1)
    below = expected_distribution(old, ties)
    bounds = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1)
    more = np.diff(bounds, axis=-1) - old / np.maximum(rows_before, 1)[..., None]
    result: AnyArray = np.where(rows_before > 0, rows * sum_of_bins(_scores(old, rows_before) * more), 0.0)
    return result


def _score_sums(old: AnyArray, new: AnyArray, rows_before: AnyArray, rows: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Sum of the new rows' normal scores less its mean, and its variance."""
    shares = old / np.maximum(rows_before, 1)[..., None]
    scores = _scores(old, rows_before)
    of_all = sum_of_bins(scores * shares)
    blocks = np.maximum(old + _BLOCKS_MORE, 0.0)
    blocks /= np.maximum(blocks.sum(axis=-1), 1.0)[..., None]
    spread = sum_of_bins(np.square(scores - of_all[..., None]) * blocks)
    excess = sum_of_bins(scores * new) - rows * of_all
    variance = rows * spread * (rows_before + 1 + rows) / (rows_before + 2)
    return excess, variance


def _rank_p_values(excess: AnyArray, variance: AnyArray, upward: BoolArray) -> AnyArray:
    z = excess / np.sqrt(np.maximum(variance, 1e-300))
    p_values: AnyArray = 2 * ndtr(-np.abs(z))
    p_values[..., upward] = ndtr(-z[..., upward])
    return np.where(variance > 0, np.minimum(p_values, 1.0), 1.0)


def _around_tie(
    old: AnyArray, new: AnyArray, upward: BoolArray, factors: AnyArray, known: TailMemory | None
) -> AnyArray:
    """More rows, or fewer, on one side of the bin that holds most of the reference: four exact tests, Bonferroni's."""
    rows_before, rows = old.sum(axis=-1), new.sum(axis=-1)
    tie, place = old.argmax(axis=-1)[..., None], np.arange(BINS)
    sides = (place > tie, place >= tie, place < tie, place <= tie)
    before, now = (np.stack([np.sum(array * side, axis=-1) for side in sides], axis=-1) for array in (old, new))
    tails = _at_least(now, rows, before + 1, rows_before + 1, factors[:, None], known)
    tails[upward, 2:] = 1.0
    return np.minimum(tails.min(axis=-1) * np.where(upward, 2, 4), 1.0)


def _tail_counts(old: AnyArray, new: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
    """Of the first bin, the last one, and both: blocks of the sample space, one more than rows before, and rows now."""
    low, high = (old[..., 0] + 1, new[..., 0]), (old[..., -1] + 1, new[..., -1])
    return [low, high, (low[0] + high[0], low[1] + high[1])]
