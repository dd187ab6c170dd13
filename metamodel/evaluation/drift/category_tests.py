"""Did the categories of a cell change, are values missing, are there categories that nobody has seen? Exact counts."""

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bins import COMMONEST, MISSING, OTHER, UNSEEN
from metamodel.evaluation.drift.exact_tails import at_least_hypergeometric
from metamodel.evaluation.drift.known_tails import TailMemory
from metamodel.evaluation.drift.multiple_testing import simes

__all__ = ["category_p_values", "missing_p_values", "unseen_p_values"]


def category_p_values(before: AnyArray, now: AnyArray, known: TailMemory | None = None) -> AnyArray:
    """Test cells of categories: Fisher's exact tests of more, and of fewer, rows in each slot, combined by Simes.

    Parameters
    ----------
    before, now
        Counts of the reference and of the window, shape (..., 12). Categories that the training never saw have a test
        of their own and count with the others here.
    known
        Tails that were summed up before, of hypergeometric laws.

    Returns
    -------
    ndarray, shape (...)
        NaN where the reference, or the window, has no value.
    """
    old, new = (_together(counts) for counts in (before, now))
    rows_before, rows = old.sum(axis=-1, keepdims=True), new.sum(axis=-1, keepdims=True)
    more = at_least_hypergeometric(new, rows, old, rows_before, known)
    fewer = at_least_hypergeometric(rows - new, rows, rows_before - old, rows_before, known)
    used = (old + new) > 0
    p_values = np.where(used, np.minimum(2 * np.minimum(more, fewer), 1.0), np.nan)
    tested = (rows_before > 0) & (rows > 0)
    return np.where(tested[..., 0], simes(p_values), np.nan)


def _together(counts: AnyArray) -> AnyArray:
    """Commonest categories, and all others in one slot."""
    slots = counts[..., : COMMONEST + 1].astype(np.float64)
    slots[..., OTHER] += counts[..., UNSEEN]
    return slots


def unseen_p_values(before: AnyArray, now: AnyArray, known: TailMemory | None = None) -> AnyArray:
    """Test whether rows with categories that the training rows do not have are more than chance brings.

    Of a group with at most nine categories these are the ones that it had not, of another those that no group had.
    """
    strangers = now[..., UNSEEN] + np.where(before[..., OTHER] == 0, now[..., OTHER], 0)
    rows_before, rows = (counts[..., :MISSING].sum(axis=-1, dtype=np.float64) for counts in (before, now))
    p_values = at_least_hypergeometric(strangers, rows, np.zeros(rows.shape), rows_before, known)
    return np.where((rows_before > 0) & (rows > 0) & (strangers > 0), p_values, np.nan)


def missing_p_values(before: AnyArray, now: AnyArray, known: TailMemory | None = None) -> AnyArray:
    """Test whether more values are missing than before, shape (...); NaN without rows, or without a missing value."""
    rows_before, rows = (counts.sum(axis=-1, dtype=np.float64) for counts in (before, now))
    p_values = at_least_hypergeometric(now[..., MISSING], rows, before[..., MISSING], rows_before, known)
    some = before[..., MISSING] + now[..., MISSING] > 0  # else the count says nothing, whatever happened (Tarone, 1990)
    return np.where((rows_before > 0) & (rows > 0) & some, p_values, np.nan)
