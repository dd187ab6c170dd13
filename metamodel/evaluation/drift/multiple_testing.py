"""From millions of p-values to the groups that changed and the columns in which they did.

Simes over the columns of a group; Benjamini and Hochberg (1995) over groups; and inside the groups that alarm,
Benjamini and Hochberg at a level that is lowered by the share of groups that do not (Benjamini and Bogomolov, 2014),
which keeps the expected share of false columns, on the average over the alarmed groups, at the level.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray

__all__ = ["named_cells", "rejected", "simes"]

# So few tests are put in order by comparing all first ones with all second ones and so on, not each few by themselves.
_COMPARED: Final = 4


def simes(p_values: AnyArray, weights: AnyArray | None = None) -> AnyArray:
    """Combine the p-values along the last axis into one of the hypothesis that nothing changed (Simes, 1986).

    Parameters
    ----------
    p_values
        Shape (..., n_tests); NaN is no test.
    weights
        Shape (n_tests,): how much more some tests count than others (Hochberg and Liberman, 1994). None for equal ones.

    Returns
    -------
    ndarray, shape (...)
        NaN where nothing was tested.

    Examples
    --------
    >>> simes(np.array([[0.01, 0.04, 0.5], [0.01, np.nan, np.nan], [np.nan] * 3])).round(3).tolist()
    [0.03, 0.01, nan]
    """
    tests = np.sum(~np.isnan(p_values), axis=-1)
    if weights is not None:
        total = np.where(np.isnan(p_values), 0.0, weights).sum(axis=-1, keepdims=True)
        p_values = p_values * (total / np.maximum(tests, 1)[..., None] / weights)
    smallest: AnyArray = np.ones(tests.shape)
    for rank, ordered in enumerate(_ordered(p_values), start=1):
        np.fmin(smallest, ordered / rank, out=smallest)
    return np.where(tests > 0, np.minimum(smallest * tests, 1.0), np.nan)


def _ordered(p_values: AnyArray) -> Sequence[AnyArray]:
    """Return the smallest p-values along the last axis, the second smallest ones and so on; NaN last."""
    n_tests = p_values.shape[-1]
    if n_tests > _COMPARED:
        return list(np.moveaxis(np.sort(p_values, axis=-1), -1, 0))
    planes = [p_values[..., test] for test in range(n_tests)]
    for last in range(n_tests - 1, 0, -1):
        for i in range(last):
            planes[i], planes[i + 1] = np.fmin(planes[i], planes[i + 1]), np.maximum(planes[i], planes[i + 1])
    return planes


def rejected(p_values: AnyArray, level: float) -> BoolArray:
    """Say which hypotheses fall at a false discovery rate (Benjamini and Hochberg, 1995), along the last axis.

    Parameters
    ----------
    p_values
        Shape (..., n_tests); NaN is no test.
    level
        Expected share of false ones among those that fall; one number, or one for each row of tests.

    Examples
    --------
    >>> rejected(np.array([0.01, 0.02, 0.6, np.nan]), 0.05).tolist()
    [True, True, False, False]
    """
    ordered = np.sort(p_values, axis=-1)
    tests = np.sum(~np.isnan(ordered), axis=-1, keepdims=True)
    rank = np.arange(1, ordered.shape[-1] + 1)
    levels = np.asarray(level)[..., None] if np.ndim(level) else level
    with np.errstate(invalid="ignore", divide="ignore"):
        falls = ordered <= rank * levels / tests
        limit = np.where(falls, ordered, -1.0).max(axis=-1, keepdims=True, initial=-1.0)
        result: BoolArray = p_values <= limit
    return result


def named_cells(p_values: AnyArray, level: float) -> tuple[BoolArray, BoolArray]:
    """Find the groups that changed and the columns in which they did.

    Parameters
    ----------
    p_values
        Shape (n_groups, n_columns); NaN is no test.
    level
        False discovery rate.

    Returns
    -------
    alarms : ndarray of bool, shape (n_groups,)
    named : ndarray of bool, shape (n_groups, n_columns)
        None of a group without an alarm, at least one of a group with one.

    Examples
    --------
    >>> alarms, named = named_cells(np.array([[1e-9, 0.4], [0.3, 0.9], [0.8, 0.7]]), 0.05)
    >>> alarms.tolist(), named[0].tolist()
    ([True, False, False], [True, False])
    """
    of_groups = simes(p_values)
    alarms = rejected(of_groups, level)
    named = np.zeros(p_values.shape, dtype=bool)
    if alarms.any():
        tested = int(np.sum(~np.isnan(of_groups)))
        named[alarms] = rejected(p_values[alarms], level * int(alarms.sum()) / tested)
    return alarms, named
