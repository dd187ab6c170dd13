"""Variance factors of tests from the replays of all groups' references."""

import warnings

import numpy as np
from scipy.special import ndtr, ndtri

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.drift_reference import REPLAYED_BLOCKS, DriftReference

__all__ = ["cell_factors", "deflated", "variance_factors"]


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
