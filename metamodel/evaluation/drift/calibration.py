"""Variance factors of tests from the replays of all groups' references."""

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.drift_reference import REPLAYED_BLOCKS, DriftReference
from metamodel.evaluation.drift.number_tests import number_excess

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
    which changed do not count, are compared with those of a normal distribution.

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
        excess, variance = number_excess(reference.counts[tested, i], counts[tested, i])
        z = excess / np.sqrt(np.maximum(variance, 1e-12))
        middle = np.clip(z, *np.quantile(z, [0.1, 0.9], axis=0))
        rank, low, high, both = middle.var(axis=0) / _NORMAL_MIDDLE
        factors[i, 0, :3] = np.clip([rank, max(low, high), both], 1.0, 4.0)
    return factors


# Variance of a standard normal variable whose outer tenths are moved to the tenth and ninetieth percentile.
_NORMAL_MIDDLE: Final = 0.6786

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
