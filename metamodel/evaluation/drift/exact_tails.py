"""Exact upper tails of two laws of counts, for millions of cells: beta-binomial and hypergeometric.

SciPy's `betabinom.sf` and `hypergeom.sf` say the same, a hundred times as slowly. A count that is not clearly above its
mean gets 1 instead of its tail: such a test never rejects, and the bound is on the safe side.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import betaln, gammaln

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.known_tails import TailMemory

__all__ = ["at_least_beta_binomial", "at_least_hypergeometric", "beta_binomial_moments", "hypergeometric_moments"]

# Standard deviations above the mean from which on a tail is summed up.
_CLEAR: Final = 0.8

# Terms that are summed up one by one; what is beyond is bounded by a geometric series.
_TERMS: Final = 4096

# Sums that are complete are put aside when no larger share of them goes on.
_STILL_SUMMED: Final = 0.75


def at_least_beta_binomial(
    count: AnyArray, rows: AnyArray, inside: AnyArray, outside: AnyArray, known: TailMemory | None = None
) -> AnyArray:
    """Probability of `count` or more of `rows` new values in a region of the sample space that a reference cuts out.

    Of m exchangeable values, sorted, those below the j-th one, and those above the (m - j + 1)-th, lie in j of m + 1
    blocks, each of which a new value enters with equal chance: the number of new values there is negative
    hypergeometric, in other words beta-binomial with parameters j and m + 1 - j (Wilks, 1942). Where only j - 1 of the
    reference's values lie strictly in the region, ties make it smaller, and the tail is an upper bound.

    Parameters
    ----------
    count, rows
        New values in the region, and all of them.
    inside, outside
        The parameters j and m + 1 - j, above 0.
    known
        Tails of this law that were summed up before, where there are many calls.

    Returns
    -------
    ndarray, of the shape that all of them have together
        1 where `count` is not clearly above its mean.

    Examples
    --------
    >>> at_least_beta_binomial(np.array([12, 3]), np.array([30, 30]), np.array([10, 10]), np.array([95, 95])).round(6)
    array([1.55e-04, 1.00e+00])
    """
    k, n, a, b = (np.asarray(array, dtype=np.float64) for array in (count, rows, inside, outside))
    mean, variance = beta_binomial_moments(n, a, b)
    k, n, a, b, mean, variance = np.broadcast_arrays(k, n, a, b, mean, variance)
    p = np.ones(k.shape)
    clear = (k > 0) & (k - mean > _CLEAR * np.sqrt(variance))
    p[clear] = _looked_up(_beta_binomial_tails, known, k[clear], n[clear], a[clear], b[clear])
    return p


def _beta_binomial_tails(k: AnyArray, n: AnyArray, a: AnyArray, b: AnyArray) -> AnyArray:
    first = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + betaln(k + a, n - k + b) - betaln(a, b)
    return _summed(first, k, n, _beta_binomial_ratio, (n, a, b))


def _beta_binomial_ratio(k: AnyArray, n: AnyArray, a: AnyArray, b: AnyArray) -> AnyArray:
    """Probability of k + 1 over that of k."""
    rest = n - k
    result: AnyArray = rest * (k + a) / ((k + 1) * (rest - 1 + b))
    return result


def beta_binomial_moments(rows: AnyArray, inside: AnyArray, outside: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Mean and variance of a beta-binomial count."""
    total = inside + outside
    share = inside / total
    return rows * share, rows * share * (1 - share) * (total + rows) / (total + 1)


def at_least_hypergeometric(
    count: AnyArray, rows: AnyArray, before: AnyArray, rows_before: AnyArray, known: TailMemory | None = None
) -> AnyArray:
    """Probability of `count` or more marked ones among `rows` new rows, where the marks lie among all rows at random.

    Fisher's exact test, one-sided, of a share before and now.

    Parameters
    ----------
    count, rows
        Marked new rows, and all new rows.
    before, rows_before
        The same of the reference.
    known
        Tails of this law that were summed up before, where there are many calls.

    Examples
    --------
    >>> at_least_hypergeometric(np.array([6]), np.array([30]), np.array([1]), np.array([100])).round(6)
    array([0.000581])
    """
    k, n, r, m = (np.asarray(array, dtype=np.float64) for array in (count, rows, before, rows_before))
    mean, variance = hypergeometric_moments(k, n, r, m)
    k, n, r, m, mean, variance = np.broadcast_arrays(k, n, r, m, mean, variance)
    p = np.ones(k.shape)
    clear = (k > 0) & (k - mean > _CLEAR * np.sqrt(variance))
    p[clear] = _looked_up(_hypergeometric_tails, known, k[clear], n[clear], r[clear], m[clear])
    return p


def _hypergeometric_tails(k: AnyArray, n: AnyArray, r: AnyArray, m: AnyArray) -> AnyArray:
    marked = k + r
    first = _log_choose(n, k) + _log_choose(m, r) - _log_choose(n + m, marked)
    most = np.minimum(n, marked)
    return _summed(first, k, most, _hypergeometric_ratio, (n, m, marked))


def _hypergeometric_ratio(k: AnyArray, n: AnyArray, m: AnyArray, marked: AnyArray) -> AnyArray:
    """Probability of k + 1 over that of k."""
    result: AnyArray = (marked - k) * (n - k) / ((k + 1) * (m - marked + k + 1))
    return result


def hypergeometric_moments(
    count: AnyArray, rows: AnyArray, before: AnyArray, rows_before: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Mean and variance of the marked ones among the new rows, given how many there are in all; 0 of no rows."""
    total = np.maximum(rows + rows_before, 2)
    share = (count + before) / total
    return rows * share, rows * share * (1 - share) * rows_before / (total - 1)


def _log_choose(n: AnyArray, k: AnyArray) -> AnyArray:
    result: AnyArray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result


def _looked_up(tails: Callable[..., AnyArray], known: TailMemory | None, *law: AnyArray) -> AnyArray:
    return tails(*law) if known is None else known.look_up(law, tails)


def _summed(
    first: AnyArray, start: AnyArray, most: AnyArray, ratio: Callable[..., AnyArray], law: tuple[AnyArray, ...]
) -> AnyArray:
    """Sum up terms: of the first the logarithm is given, of each further one the ratio to the one before.

    A sum that is complete gets terms of zero until many are, so that arrays are seldom gathered anew.
    """
    total = np.exp(first)
    results, places = np.empty(len(total)), np.arange(len(total))
    k, term = start, total.copy()
    with np.errstate(invalid="ignore", divide="ignore"):  # ratios beyond the last term
        for _ in range(_TERMS):
            goes_on = (k < most) & (term > 1e-15 * total)
            if np.count_nonzero(goes_on) <= _STILL_SUMMED * len(goes_on):
                results[places] = total
                keep = np.flatnonzero(goes_on)
                if not len(keep):
                    return np.minimum(results, 1.0)
                places, total, k, term, most = (array[keep] for array in (places, total, k, term, most))
                law, goes_on = tuple(array[keep] for array in law), goes_on[keep]
            term = np.where(goes_on, term * ratio(k, *law), 0.0)
            k = k + 1
            total += term
        shrink = ratio(k, *law)  # ratios fall from term to term
        beyond = np.where(shrink < 1, term * shrink / np.maximum(1 - shrink, 1e-300), 1.0)
    results[places] = total + np.where(goes_on, beyond, 0.0)
    return np.minimum(results, 1.0)
