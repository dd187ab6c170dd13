"""How much cells changed, beside whether they did: from counts in bins alone.

An alarm needs an effect: with enough rows a change of no account is certain too. Population stability index,
Kolmogorov's distance and Jensen and Shannon's divergence are for people who know them, and decide nothing.
"""

import numpy as np
from scipy.special import rel_entr

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bin_sums import running_sums
from metamodel.evaluation.drift.bins import BINS, MISSING
from metamodel.evaluation.drift.expected_shares import expected_distribution, tied_edges

__all__ = ["distribution_moves", "missing_moves", "shown_distances", "total_variation"]

# Standard deviations that the distance between the ninth and the first decile of a normal distribution spans.
_NORMAL_SPAN = 2.5631031310892007


def distribution_moves(before: AnyArray, now: AnyArray, edges: AnyArray, tails: AnyArray, spread: AnyArray) -> AnyArray:
    """Move of the distribution function at each edge, times the distance between its bins, in standard deviations.

    Summed up they are the change of the mean, summed up in absolute value the first Wasserstein distance, both of the
    binned values: a bin stands for its middle, the first and the last one for the mean of the reference's rows there.
    Signed moves of several groups can be averaged without the noise that distances, which are never negative, add.

    Parameters
    ----------
    before, now
        Counts, shape (..., 12).
    edges, tails
        Of the reference, shape (..., 9) and (..., 2).
    spread
        Standard deviation, shape (...). Where heavy tails make it wider than the deciles are in a normal distribution,
        these count; where it is 0 (a column that never varied), a row that moves to another bin moves by one.

    Returns
    -------
    ndarray, shape (..., 9)
        0 where there is no row before or now.

    Examples
    --------
    >>> before = np.array([10.0] * 10 + [0, 0])
    >>> now = np.array([0.0] * 5 + [20.0] * 5 + [0, 0])
    >>> edges, tails = np.arange(1.0, 10.0), np.array([0.5, 9.5])
    >>> moves = distribution_moves(before, now, edges, tails, np.array(2.887))
    >>> float(np.abs(moves).sum().round(3))
    0.868
    """
    ties = tied_edges(edges)
    edges, tails = edges.astype(np.float64, copy=False), tails.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        middles = (edges[..., :-1] + edges[..., 1:]) / 2
        low = np.where(np.isnan(tails[..., :1]), edges[..., :1], tails[..., :1])
        high = np.where(np.isnan(tails[..., 1:]), edges[..., -1:], tails[..., 1:])
        gaps = np.diff(np.concatenate([low, middles, high], axis=-1), axis=-1)
        span = (edges[..., -1] - edges[..., 0]) / _NORMAL_SPAN
        # Edges beside one value differ by the last bit.
        some = span > np.maximum(1e-6 * np.abs(edges).max(axis=-1), 1e-30)
        scale = np.where(some, np.fmin(span, spread), spread)
        steps = np.where(scale[..., None] > 0, gaps / scale[..., None], _STEPS_OF_CONSTANT)
        moves = (expected_distribution(before, ties) - _distribution(now)) * steps
    return np.where(np.isfinite(moves), moves, 0.0)


# Of a constant column the rows below, at and above its value are in the bins 0, 5 and 9.
_STEPS_OF_CONSTANT = np.array([1.0, 0, 0, 0, 0, 1.0, 0, 0, 0])


def _distribution(counts: AnyArray) -> AnyArray:
    """Share of the rows below each edge, shape (..., 9)."""
    values = counts[..., :BINS].astype(np.float64, copy=False)
    below = running_sums(values)
    result: AnyArray = below[..., :-1] / below[..., -1:]
    return result


def total_variation(before: AnyArray, now: AnyArray) -> AnyArray:
    """Share of the rows that would have to change their slot, shape (...); NaN without rows before or now.

    Examples
    --------
    >>> float(total_variation(np.array([5.0, 5] + [0] * 10), np.array([10.0, 0] + [0] * 10)))
    0.5
    """
    first, second = _shares(before), _shares(now)
    result: AnyArray = np.abs(first - second).sum(axis=-1) / 2
    return result


def missing_moves(before: AnyArray, now: AnyArray) -> AnyArray:
    """Rise of the share of missing values, shape (...); 0 without rows before or now."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [counts[..., MISSING] / counts.sum(axis=-1, dtype=np.float64) for counts in (before, now)]
    return np.nan_to_num(shares[1] - shares[0])


def shown_distances(before: AnyArray, now: AnyArray) -> dict[str, AnyArray]:
    """Measure the distances that people know: of populations' stability, Kolmogorov's, Jensen and Shannon's.

    Parameters
    ----------
    before, now
        Counts, shape (..., 12).

    Returns
    -------
    dict of ndarray, shape (...)
        `psi_excess`: the index of the shares with half a row added to each slot, less what rows of one distribution
        are expected to show (slots in use less one, times the inverse numbers of rows); `ks`: of the order of slots;
        `js`: in bits.
    """
    old, new = before[..., :MISSING].astype(np.float64), now[..., :MISSING].astype(np.float64)
    used = (old + new) > 0
    rows = [np.maximum(counts.sum(axis=-1), 1) for counts in (old, new)]
    p, q = (_normed((counts + 0.5) * used) for counts in (old, new))
    with np.errstate(invalid="ignore", divide="ignore"):
        psi = np.where(used, (p - q) * np.log(p / q), 0.0).sum(axis=-1)
        expected = (used.sum(axis=-1) - 1) * (1 / rows[0] + 1 / rows[1])
    p, q = _normed(old), _normed(new)
    middle = (p + q) / 2
    return {
        "psi_excess": psi - expected,
        "ks": np.abs(np.cumsum(p - q, axis=-1)).max(axis=-1),
        "js": (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2)),
    }


def _shares(counts: AnyArray) -> AnyArray:
    values = counts[..., :MISSING].astype(np.float64)
    with np.errstate(invalid="ignore"):
        result: AnyArray = values / values.sum(axis=-1, keepdims=True)
    return result


def _normed(counts: AnyArray) -> AnyArray:
    result: AnyArray = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-300)
    return result
