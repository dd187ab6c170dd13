"""Which of two variants is better, in every slice at once: from sums, so that a log of any size fits.

- *Apart*: each unit has one variant. The unit is the entity, not the row, because rows of one customer are not
  independent; Welch's test (1947) on the units' means, and the randomisation test (Fisher, 1935): Welch's alone takes a
  few dear customers of a small canary for a difference. Only what both find is found.
- *Paired*: both variants answered every row. A cluster-robust test of the differences (Liang and Zeger, 1986), with a
  group's rows as cluster where a slice has enough groups, else the paired t-test over rows.
- The *lift* is the relative difference of the means, with the interval of a ratio (Fieller, 1954).
- The *sample ratio*: whether as many units have the challenger as were meant to. Where that is not so, something beside
  the hash decides who has it, and no comparison is worth anything (Fabijan et al., 2019).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.dealt_units import Dealt, randomised

__all__ = ["PAIRED_SUMS", "UNSOUND", "effects_apart", "effects_paired", "ratio_intervals", "sample_ratio_p"]

# Below this p-value of the sample ratio a comparison is void.
UNSOUND = 0.001

PAIRED_SUMS = ("rows", "champion", "challenger", "champion_squares", "challenger_squares", "products")

# With fewer groups in a slice their spread says nothing, and rows have to do.
_FEWEST_CLUSTERS = 5


def effects_apart(units: pd.DataFrame, n_slices: int, level: float = 0.95) -> pd.DataFrame:
    """Compare variants of which each unit has one.

    Parameters
    ----------
    units
        One row for each unit of each slice: `slice` (from 0 on), `challenger` (bool) and `mean`, its mean outcome.
    n_slices
        Number of slices.
    level
        Of the intervals.

    Returns
    -------
    DataFrame, one row a slice
        `champion_units`, `challenger_units`, `champion`, `challenger` (the means), `lift`, `lower`, `upper`, `p_value`
        (two-sided; null where a variant has less than two units).

    Examples
    --------
    >>> units = pd.DataFrame({"slice": 0, "challenger": [False] * 3 + [True] * 3, "mean": [9, 10, 11, 10, 11, 12.0]})
    >>> effects_apart(units, 1).round(3)[["champion", "challenger", "lift", "p_value"]].values.tolist()
    [[10.0, 11.0, 0.1, 0.288]]
    """
    figures = {}
    for name, is_challenger in (("champion", False), ("challenger", True)):
        mine = units[units["challenger"].to_numpy(dtype=bool) == is_challenger]
        slices, values = mine["slice"].to_numpy(), mine["mean"].to_numpy(dtype=np.float64)
        number = np.bincount(slices, minlength=n_slices).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(slices, weights=values, minlength=n_slices) / number
            squares = np.bincount(slices, weights=(values - mean[slices]) ** 2, minlength=n_slices)
            figures[name] = number, mean, squares / (number - 1) / number
    (n_0, mean_0, var_0), (n_1, mean_1, var_1) = figures["champion"], figures["challenger"]
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = (var_0 + var_1) ** 2 / (var_0**2 / (n_0 - 1) + var_1**2 / (n_1 - 1))
    none = np.zeros(n_slices)
    described = _described((mean_0, mean_1), (var_0, var_1, none), freedom, level)
    dealt = randomised(units["slice"].to_numpy(), units["mean"].to_numpy(dtype=np.float64), (n_0, n_1), level)
    described |= _both(described, dealt)
    return pd.DataFrame({"champion_units": n_0.astype(int), "challenger_units": n_1.astype(int), **described})


def _both(welch: dict[str, AnyArray], dealt: Dealt) -> dict[str, AnyArray]:
    """Take the larger p-value of both tests, and the widest interval.

    A lift may add the same to every unit, or multiply each: then the few units of a small variant vary as much more. By
    both the deal's limits are on the same side of no lift.
    """
    base, changed = welch["champion"], welch["challenger"]
    difference = changed - base
    p_dealt = dealt.p_value(difference)
    bounds = dealt.lower, dealt.upper
    with np.errstate(invalid="ignore", divide="ignore"):
        added = [(difference - bound) / base for bound in bounds]
        multiplied = [
            np.where(np.fmin(base, base + bound) > 0, changed / (base + bound) - 1, np.nan) for bound in bounds
        ]
    return {
        "lower": np.fmin.reduce([welch["lower"], *added, *multiplied]),
        "upper": np.fmax.reduce([welch["upper"], *added, *multiplied]),
        "p_value": np.where(np.isnan(welch["p_value"]), np.nan, np.fmax(welch["p_value"], p_dealt)),
    }


def effects_paired(sums: pd.DataFrame, n_slices: int, level: float = 0.95) -> pd.DataFrame:
    """Compare variants that both answered every row.

    Parameters
    ----------
    sums
        One row for each cluster (group) of each slice: `slice`, and the columns `PAIRED_SUMS`: number of rows, sums of
        the champion's and the challenger's outcomes, of their squares, and of their products.
    n_slices, level
        As for `effects_apart`.

    Returns
    -------
    DataFrame, one row a slice
        `rows`, `clusters`, and as of `effects_apart` from `champion` on.
    """
    slices = sums["slice"].to_numpy()

    def summed(values: AnyArray) -> AnyArray:
        return np.bincount(slices, weights=values, minlength=n_slices)

    rows, base, changed = (sums[name].to_numpy(dtype=np.float64) for name in PAIRED_SUMS[:3])
    totals = {name: summed(sums[name].to_numpy(dtype=np.float64)) for name in PAIRED_SUMS}
    clusters = np.bincount(slices, minlength=n_slices)
    number = totals["rows"]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_0, mean_1 = totals["champion"] / number, totals["challenger"] / number
        residual_0, residual_1 = base - rows * mean_0[slices], changed - rows * mean_1[slices]
        few = clusters / np.maximum(clusters - 1, 1) / number**2
        of_clusters = [few * summed(product) for product in (residual_0**2, residual_1**2, residual_0 * residual_1)]
        scale = 1 / (number * (number - 1))
        of_rows = [
            scale * (totals["champion_squares"] - number * mean_0**2),
            scale * (totals["challenger_squares"] - number * mean_1**2),
            scale * (totals["products"] - number * mean_0 * mean_1),
        ]
    by_cluster = clusters >= _FEWEST_CLUSTERS
    var_0, var_1, cov = (np.where(by_cluster, wide, narrow) for wide, narrow in zip(of_clusters, of_rows, strict=True))
    freedom = np.where(by_cluster, clusters, number) - 1.0
    described = _described((mean_0, mean_1), (np.maximum(var_0, 0), np.maximum(var_1, 0), cov), freedom, level)
    return pd.DataFrame({"rows": number.astype(int), "clusters": clusters, **described})


def _described(
    means: tuple[AnyArray, AnyArray], variances: tuple[AnyArray, AnyArray, AnyArray], freedom: AnyArray, level: float
) -> dict[str, AnyArray]:
    (base, changed), (var_0, var_1, cov) = means, variances
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.maximum(var_0 + var_1 - 2 * cov, 0.0))
        # Equal outcomes vary in their last bits.
        varies = error > 1e-12 * (np.abs(base) + np.abs(changed))
        t = np.abs(changed - base) / error
        p = np.where(varies, 2 * special.stdtr(np.maximum(freedom, 1e-9), -t), np.where(changed == base, 1.0, 0.0))
        lift = changed / base - 1
    p = np.where((freedom > 0) & np.isfinite(base) & np.isfinite(changed), p, np.nan)
    lower, upper = ratio_intervals(means, variances, freedom, level)
    return {"champion": base, "challenger": changed, "lift": lift, "lower": lower, "upper": upper, "p_value": p}


def ratio_intervals(
    means: tuple[AnyArray, AnyArray], variances: tuple[AnyArray, AnyArray, AnyArray], freedom: AnyArray, level: float
) -> tuple[AnyArray, AnyArray]:
    """Two-sided intervals of relative differences of means, by Fieller (1954).

    Parameters
    ----------
    means
        Of the champion and the challenger, shape (n_slices,) each.
    variances
        Of both means, and their covariance.
    freedom
        Degrees of freedom.
    level
        Such as 0.95.

    Returns
    -------
    lower, upper : tuple of array
        Infinite where the champion's mean may be 0.
    """
    (base, changed), (var_0, var_1, cov) = means, variances
    with np.errstate(invalid="ignore", divide="ignore"):
        t = special.stdtrit(np.maximum(freedom, 1e-9), (1 + level) / 2)
        a, b, c = base**2 - t**2 * var_0, base * changed - t**2 * cov, changed**2 - t**2 * var_1
        root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
        lower, upper = (b - root) / a - 1, (b + root) / a - 1
    bounded = (a > 0) & (freedom > 0)
    return np.where(bounded, lower, -np.inf), np.where(bounded, upper, np.inf)


def sample_ratio_p(observed: Sequence[tuple[int, int, float]]) -> float:
    """P-value of as many units with the challenger as there are, by the chi-squared test.

    Parameters
    ----------
    observed
        Of each part of the time with one fraction: units of the champion, of the challenger, and the fraction.

    Returns
    -------
    float
        1 where nothing was split.

    Examples
    --------
    >>> round(sample_ratio_p([(9000, 1000, 0.1)]), 3), round(sample_ratio_p([(9000, 1200, 0.1)]), 12)
    (1.0, 2.835e-09)
    """
    statistic, freedom = 0.0, 0
    for base, changed, fraction in observed:
        total = base + changed
        if not total:
            continue
        expected = total * fraction
        if expected in (0, total):  # who must not be there is there, or nobody is
            if changed != expected:
                return 0.0
            continue
        statistic += (changed - expected) ** 2 / expected + (base - total + expected) ** 2 / (total - expected)
        freedom += 1
    return float(special.chdtrc(freedom, statistic)) if freedom else 1.0
