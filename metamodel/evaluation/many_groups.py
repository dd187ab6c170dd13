"""Holdouts and metrics of many groups at once, bit by bit what `splits` and `metrics` say of each group alone.

Rows lie group by group: `starts` says where each group begins, and no group is empty.
"""

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray

__all__ = ["groups_with_copies", "hash_holdouts", "many_regression_metrics"]


def groups_with_copies(identities: HashArray, starts: IntArray) -> BoolArray:
    """Say which groups hold two rows with one hash, shape (n_groups,).

    Parameters
    ----------
    identities
        From `splits.identities`, shape (n_rows,).
    starts
        First row of each group, shape (n_groups,).

    Examples
    --------
    >>> groups_with_copies(np.array([5, 7, 7, 7], dtype=np.uint64), np.array([0, 2])).tolist()
    [False, True]
    """
    ordered = np.sort(identities)
    twice = np.zeros(len(starts), dtype=bool)
    if (ordered[1:] != ordered[:-1]).all():  # one sort instead of two, for nearly every table
        return twice
    codes = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(identities)))
    order = np.lexsort((identities, codes))
    equal = (identities[order[1:]] == identities[order[:-1]]) & (codes[order[1:]] == codes[order[:-1]])
    twice[codes[order[1:]][equal]] = True
    return twice


def hash_holdouts(hashes: HashArray, starts: IntArray, fraction: float) -> tuple[BoolArray, BoolArray]:
    """Keep back rows of every group as `splits.hash_holdout` does.

    Parameters
    ----------
    hashes
        From `split_hashes`, shape (n_rows,).
    starts
        First row of each group, shape (n_groups,).
    fraction
        Share to keep back, 0 < fraction < 1.

    Returns
    -------
    held : ndarray of bool, shape (n_rows,)
        True for the rows kept back.
    can_split : ndarray of bool, shape (n_groups,)
        False for groups of one row, or of equal ones; what `held` says of them means nothing.

    Examples
    --------
    >>> hashes = np.array([1, 2**63, 3, 9], dtype=np.uint64)
    >>> held, can_split = hash_holdouts(hashes, np.array([0, 2]), 0.2)
    >>> held.tolist(), can_split.tolist()
    ([True, False, True, False], [True, True])
    """
    sizes = np.diff(starts, append=len(hashes))
    lowest, highest = np.minimum.reduceat(hashes, starts), np.maximum.reduceat(hashes, starts)
    held = hashes < np.uint64(int(fraction * 2**64))
    kept_back = np.add.reduceat(held.astype(np.int64), starts)
    for chance, moved in (
        (kept_back == 0, hashes == np.repeat(lowest, sizes)),
        (kept_back == sizes, hashes != np.repeat(highest, sizes)),
    ):
        held = np.where(np.repeat(chance, sizes), moved, held)
    return held, lowest != highest


def many_regression_metrics(y: AnyArray, predicted: AnyArray) -> dict[str, AnyArray]:
    """MAE, RMSE and R² of groups of equally many rows, as `metrics.regression_metrics` without weights.

    Parameters
    ----------
    y, predicted
        Target, shape (n_groups, n_rows), C-contiguous: only so are a group's numbers added up as they are alone.

    Returns
    -------
    dict of ndarray, shape (n_groups,)

    Examples
    --------
    >>> many_regression_metrics(np.array([[1.0, 3.0]]), np.array([[1.0, 2.0]]))
    {'mae': array([0.5]), 'rmse': array([0.70710678]), 'r2': array([0.5])}
    """
    error = predicted - y
    spread = ((y - y.mean(axis=1)[:, None]) ** 2).mean(axis=1)
    squared = (error**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r2 = np.where((spread > 0) & (y.shape[1] > 1), 1 - squared / spread, np.nan)
    return {"mae": np.abs(error).mean(axis=1), "rmse": np.sqrt(squared), "r2": r2}
