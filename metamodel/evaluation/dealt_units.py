"""How far the means of two variants are apart by the deal alone: the randomisation test, for many slices at once.

If the variant is nothing to any unit, every other deal of the same units would have been as likely as the one that was
made (Fisher, 1935). The difference of means over all deals has exactly known moments, those of samples drawn without
replacement (Cochran 1977, chapter 2); its tails are those of the Pearson distribution of type III with the first three
of them, as of other permutation tests (Mielke and Berry, 2007, chapter 2). Its skewness is the point: where one variant
has few units, a dear one among them weighs a lot, and a t-test takes that for a difference.

Where the deals are so skewed that three moments do not tell their tails, as with ten units and outcomes of which a few
make most of the sum, deals are drawn (Dwass, 1957), always the same ones for the same units.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["Dealt", "randomised"]

# Below, Pearson's distribution is the normal one.
_SYMMETRIC = 1e-3

# Above, deals are drawn.
_SKEWED = 1.0

# Deals of a slice, and how many units may be dealt for all of its deals, and for those of all slices.
_FEWEST_DEALS, _MOST_DEALS = 1000, 20_000

_DEALT_UNITS, _ALL_DEALT_UNITS = 4_000_000, 400_000_000

# Deals that differ by less, relatively, are equal: of labels, and of counts, many are.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Dealt:
    """The difference of means, challenger less champion, over all deals; arrays of shape (n_slices,).

    Attributes
    ----------
    deviation, skewness
        Of the difference; its mean is 0. NaN where the units do not vary, or a variant has none.
    lower, upper
        Between which it lies with the level's probability, as much of it beyond either.
    drawn
        Differences of drawn deals, sorted, of those slices whose deals are too skewed for three moments.
    """

    deviation: AnyArray
    skewness: AnyArray
    lower: AnyArray
    upper: AnyArray
    drawn: dict[int, AnyArray] = field(default_factory=dict)

    def p_value(self, difference: AnyArray) -> AnyArray:
        """Two-sided p-value of a difference in each slice."""
        with np.errstate(invalid="ignore", divide="ignore"):
            z = difference / self.deviation
        above, below = _tail(z, self.skewness), _tail(-z, -self.skewness)
        p = np.minimum(1.0, 2 * np.minimum(above, below))
        for i, deals in self.drawn.items():
            p[i] = _p_among(deals, difference[i])
        return p


def randomised(slices: IntArray, means: AnyArray, numbers: tuple[AnyArray, AnyArray], level: float = 0.95) -> Dealt:
    """Describe what the deal alone does.

    Parameters
    ----------
    slices, means
        Slice and mean outcome of each unit, shape (n_units,).
    numbers
        Units of the champion and of the challenger in each slice.
    level
        Of `lower` and `upper`.

    Examples
    --------
    >>> dealt = randomised(np.zeros(6, dtype=int), np.array([9, 10, 11, 10, 11, 12.0]), (np.array([3]), np.array([3])))
    >>> dealt.deviation.round(3).tolist(), dealt.p_value(np.array([1.0])).round(3).tolist()
    ([0.856], [0.243])
    """
    n_0, n_1 = (np.asarray(number, dtype=np.float64) for number in numbers)
    total = n_0 + n_1
    n_slices = len(total)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = means - (np.bincount(slices, weights=means, minlength=n_slices) / total)[slices]
        squares, cubes = (np.bincount(slices, weights=apart**power, minlength=n_slices) / total for power in (2, 3))
        # Of the challenger's mean among all deals; the champion's follows from it.
        variance = squares * n_0 / (n_1 * (total - 1))
        third = cubes * n_0 * (n_0 - n_1) / (n_1**2 * (total - 1) * (total - 2))
        deviation = np.sqrt(variance) * total / n_0
        skewness = np.where(total > 2, third, 0.0) / variance**1.5
    usable = (variance > 0) & (n_0 > 0) & (n_1 > 0)
    deviation, skewness = np.where(usable, deviation, np.nan), np.where(usable, skewness, np.nan)
    beyond = (1 - level) / 2
    upper, lower = _quantile(beyond, skewness) * deviation, -_quantile(beyond, -skewness) * deviation
    drawn = dict(_drawn(np.flatnonzero(np.abs(skewness) > _SKEWED), slices, means, (n_0, n_1)))
    for i, deals in drawn.items():
        lower[i], upper[i] = np.quantile(deals, (beyond, 1 - beyond))
    return Dealt(deviation, skewness, lower, upper, drawn)


def _drawn(
    wanted: IntArray, slices: IntArray, means: AnyArray, numbers: tuple[AnyArray, AnyArray]
) -> Iterator[tuple[int, AnyArray]]:
    """Draw deals of some slices; yields each one's position and differences of means, sorted."""
    if not len(wanted):
        return
    few = np.minimum(*numbers)[wanted]
    most = min(_MOST_DEALS, _ALL_DEALT_UNITS / few.sum())
    order = np.lexsort((means, slices))  # whatever the order of the rows, the same deals
    starts = np.searchsorted(slices[order], wanted)
    for i, start, size in zip(wanted.tolist(), starts.tolist(), few.astype(int).tolist(), strict=True):
        n_0, n_1 = (int(number[i]) for number in numbers)
        values = means[order[start : start + n_0 + n_1]]
        deals = int(np.clip(min(most, _DEALT_UNITS / size), _FEWEST_DEALS, _MOST_DEALS))
        sums = _dealt_sums(values - values.mean(), size, deals)
        yield i, np.sort(sums * (1 if n_1 == size else -1) * (n_0 + n_1) / (n_0 * n_1))


def _dealt_sums(values: AnyArray, size: int, deals: int) -> AnyArray:
    """Sum up so many random samples without replacement; each row that is shuffled gives as many as have room in it."""
    blocks = len(values) // size
    rows = -(-deals // blocks)
    shuffled = np.random.default_rng(0).permuted(np.tile(values, (rows, 1)), axis=1)
    sums: AnyArray = shuffled[:, : blocks * size].reshape(-1, size).sum(axis=1)
    return sums


def _p_among(deals: AnyArray, difference: float) -> float:
    """Two-sided p-value of a difference among drawn deals, of which it is itself one (Phipson and Smyth, 2010)."""
    slack = _EQUAL * max(abs(float(deals[0])), abs(float(deals[-1])))
    above = len(deals) - np.searchsorted(deals, difference - slack, side="left")
    below = np.searchsorted(deals, difference + slack, side="right")
    return min(1.0, 2 * (1 + int(min(above, below))) / (1 + len(deals)))


def _tail(z: AnyArray, skewness: AnyArray) -> AnyArray:
    """Probability that a standardised Pearson variable of type III is larger than z."""
    shape = 4 / np.maximum(np.abs(skewness), _SYMMETRIC) ** 2
    root = np.sqrt(shape)
    right = special.gammaincc(shape, np.maximum(shape + z * root, 0.0))
    left = special.gammainc(shape, np.maximum(shape - z * root, 0.0))
    tail: AnyArray = np.where(np.abs(skewness) < _SYMMETRIC, special.ndtr(-z), np.where(skewness > 0, right, left))
    return np.where(np.isnan(skewness), np.nan, tail)


def _quantile(beyond: float, skewness: AnyArray) -> AnyArray:
    """Above which such a variable is with a small probability."""
    shape = 4 / np.maximum(np.abs(skewness), _SYMMETRIC) ** 2
    root = np.sqrt(shape)
    right = (special.gammainccinv(shape, beyond) - shape) / root
    left = (shape - special.gammaincinv(shape, beyond)) / root
    normal = -special.ndtri(beyond)
    return np.where(np.abs(skewness) < _SYMMETRIC, normal, np.where(skewness > 0, right, left))
