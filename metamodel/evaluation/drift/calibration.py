"""Variance factors of tests from the replays of all groups' references."""

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bins import BINS
from metamodel.evaluation.drift.drift_reference import REPLAYED_BLOCKS, DriftReference
from metamodel.evaluation.drift.number_tests import chance_windows, number_excess
from metamodel.tables.grouping import spread

__all__ = ["cell_factors", "deflated", "empirical_factors", "variance_factors"]


def variance_factors(reference: DriftReference) -> AnyArray:
    """Pool the replays of all groups: the mean of each column, at least 1.

    Returns
    -------
    ndarray, shape (n_columns, 3 numbers of blocks, 4 scores)
        See `metamodel.evaluation.drift.replay`; 1 where nothing was replayed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no value
        pooled = np.nanmean(reference.replays, axis=0, dtype=np.float64) if len(reference) else np.nan
    shape = reference.replays.shape[1:]
    return np.broadcast_to(np.maximum(np.nan_to_num(pooled, nan=1.0), 1.0), shape)


def empirical_factors(
    reference: DriftReference, counts: AnyArray, columns: Sequence[str], min_rows: int = 20
) -> AnyArray:
    """Say by how much the statistics of most groups vary more than their tests believe: an empirical null.

    Errors of held-out rows are those of a model that was fitted to fewer rows than the child that answers, and each of
    both leans to some side by chance: with few training rows that makes tests of errors alarm everywhere. All groups
    together tell how much of that there is (Efron, 2004): the middle eight tenths of their statistics, so that groups
    which changed do not count, are compared with those of windows that are drawn by the law of the tests.

    Parameters
    ----------
    reference, counts
        As for `judge_cells`.
    columns
        Columns of numbers to look at.
    min_rows
        Groups with fewer rows do not count.

    Returns
    -------
    ndarray, shape (n_columns, 1, 4 scores)
        From 1 to 4; 1 for other columns, and where less than 30 groups tell.
    """
    factors = np.ones((len(reference.columns), 1, reference.replays.shape[-1]))
    for name in columns:
        i = reference.columns.index(name)
        tested = (counts[:, i].sum(axis=-1) >= min_rows) & (reference.counts[:, i].sum(axis=-1) > 0)
        if tested.sum() < _FEWEST_GROUPS:
            continue
        before, now = reference.counts[tested, i], counts[tested, i]
        rng = np.random.default_rng(0)
        rank, low, high, both = _widening(_statistics(before, now, rng), _by_chance(before, now, rng))
        factors[i, 0, :3] = np.clip([rank, max(low, high), both], 1.0, 4.0)
    return factors


def _widening(found: AnyArray, chance: AnyArray) -> AnyArray:
    """Compare the variances of the middle eight tenths, shape (4,); once more without the few that surely changed.

    One group in fifty that moved by a standard deviation is not in the middle, and moves its bounds all the same.
    """
    by_chance = np.maximum(_middle_variance(chance), 1e-12)
    changed = np.abs(found) > _SURELY * np.sqrt(np.maximum(_middle_variance(found) / by_chance, 1.0))
    few = changed.mean(axis=0) <= _FEW
    result: AnyArray = _middle_variance(np.where(changed & few, np.nan, found)) / by_chance
    return result


def _middle_variance(statistics: AnyArray) -> AnyArray:
    """Give the variance over the groups, the outer tenths moved to their bounds, shape (4,)."""
    middle = np.clip(statistics, *np.nanquantile(statistics, [0.1, 0.9], axis=0))
    result: AnyArray = np.nanvar(middle, axis=0)
    return result


def _statistics(before: AnyArray, now: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Give the four statistics of `number_tests` in standard deviations, shape (n_groups, 4).

    Counts are spread evenly over the gaps between them: else a few groups that changed move a bound by a whole count,
    of the two or three that a tail of few rows has.
    """
    excess, variance = number_excess(before, now)
    excess[:, 1:] += rng.random((len(excess), 3)) - 0.5
    result: AnyArray = excess / np.sqrt(np.maximum(variance, 1e-12))
    return result


def _by_chance(before: AnyArray, now: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Give the same of windows in which nothing changed, of as many rows; several of each where groups are few."""
    drawn = np.resize(spread(len(before), _DRAWN), _DRAWN)
    before, rows = before[drawn], now[drawn, :BINS].sum(axis=1, dtype=np.int64)
    return _statistics(before, chance_windows(before, rows, rng), rng)


# Standard deviations that nobody is away from the expectation by chance.
_SURELY: Final = 4.5

# Where a larger share of the groups is as far away, it is no few groups that changed.
_FEW: Final = 0.1

# So many windows are drawn: the variance of their middle is known to a hundredth.
_DRAWN: Final = 20_000

_FEWEST_GROUPS: Final = 30


def cell_factors(pooled: AnyArray, rows_before: AnyArray, rows: AnyArray) -> AnyArray:
    """Choose for each cell the factor of blocks as long as its window, or longer: factors grow with the length.

    Parameters
    ----------
    pooled
        From `variance_factors`.
    rows_before, rows
        Rows of the reference, and of the window, shape (n_groups, n_columns).

    Returns
    -------
    ndarray, shape (n_groups, n_columns, 4 scores)
    """
    # Blocks come from the shortest to the longest.
    longer = [rows * blocks > rows_before for blocks in REPLAYED_BLOCKS[:-1]]
    place = np.sum(longer, axis=0)
    factors: AnyArray = pooled[np.arange(pooled.shape[0]), place]
    return factors


def deflated(p_values: AnyArray, factors: AnyArray) -> AnyArray:
    """Say what a p-value is worth where the variance is `factors` times as large as its test believes.

    Examples
    --------
    >>> deflated(np.array([1e-6, 1e-6, 1.0]), np.array([1.0, 4.0, 4.0])).round(6).tolist()
    [1e-06, 0.008734, 1.0]
    """
    changes = (factors > 1) & (p_values < 0.5)
    result: AnyArray = np.array(p_values, dtype=np.float64)
    result[changes] = ndtr(ndtri(result[changes]) / np.sqrt(factors[changes]))
    return result
