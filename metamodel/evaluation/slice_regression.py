"""Is a new model worse in some slice of the rows? One-sided tests of paired losses, for all slices at once.

Both models answer the same rows. Of each slice the *regression* is the relative rise of the mean loss, and the question
is whether it is above a margin. Three things keep noise from being taken for an answer:

- The test is paired and one-sided, and the interval is that of a ratio of means (Fieller, 1954). A slice counts as
  worse exactly where the lower end of its interval is above the margin.
- Rows are not independent: those of one group share a child, those of one week a holiday. The standard error is the
  largest of those that the row's clusters give (cluster-robust, Liang and Zeger, 1986), with the clusters less one as
  degrees of freedom.
- Many slices are many tests. Their p-values are adjusted by Benjamini and Hochberg (1995), and the intervals of the
  slices have the level that goes with that (Benjamini and Yekutieli, 2005).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.evaluation.significance import adjusted

__all__ = ["judged_slices", "slice_regressions", "smallest_share", "time_blocks"]

# With fewer clusters a standard error says nothing, unless a slice has no more of any kind.
_FEWEST_CLUSTERS = 5

# Differences below this share of the losses are made by floating-point numbers.
_ROUNDING = 1e-12


def slice_regressions(
    new: AnyArray,
    old: AnyArray,
    slices: IntArray,
    clusters: Sequence[IntArray],
    margin: float,
    weights: AnyArray | None = None,
) -> pd.DataFrame:
    """Compare two models' losses in every slice.

    Parameters
    ----------
    new, old
        Loss of each row under the new and the old model, finite, shape (n_rows,).
    slices
        Slice of each row, from 0 on, shape (n_rows,); -1 for none.
    clusters
        Rows that depend on one another have the same number; one array of shape (n_rows,) for each way in which they
        may. The first one is the finest.
    margin
        Relative rise of the mean loss that is allowed.
    weights
        Of the rows, not below 0, shape (n_rows,); None for equal ones.

    Returns
    -------
    DataFrame, one row a slice
        `rows`; `new_loss` and `old_loss`, the means; `regression`; `p_value` of the null hypothesis that it is not
        above the margin, null where a slice has less than two clusters; and what the interval is made of:
        `var_new`, `var_old`, `cov`, `freedom`.

    Examples
    --------
    >>> rows = np.arange(6)
    >>> new, old = np.array([2.0, 2.1, 1.9, 1.0, 1.1, 0.9]), np.array([1.0, 1.2, 0.9, 1.1, 1.0, 0.9])
    >>> table = slice_regressions(new, old, np.repeat([0, 1], 3), [rows], margin=0.03)
    >>> table[["rows", "regression", "p_value"]].round(3).values.tolist()
    [[3.0, 0.935, 0.001], [3.0, 0.0, 0.67]]
    """
    inside = slices >= 0
    slices, new, old = slices[inside], new[inside], old[inside]
    weight = np.ones(len(new)) if weights is None else weights[inside].astype(np.float64)
    n_slices = int(slices.max()) + 1 if len(slices) else 0
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.bincount(slices, weights=weight, minlength=n_slices)
        means = [np.bincount(slices, weights=weight * loss, minlength=n_slices) / total for loss in (new, old)]
        residuals = [
            weight * (loss - mean[slices]) / total[slices] for loss, mean in zip((new, old), means, strict=True)
        ]
        spread = _widest([_spread(residuals, slices, numbers[inside], n_slices) for numbers in clusters], margin)
        regression = np.where(means[1] > 0, means[0] / means[1] - 1, np.where(means[0] > 0, np.inf, 0.0))
    table = pd.DataFrame({"rows": np.bincount(slices, minlength=n_slices), "new_loss": means[0], "old_loss": means[1]})
    table = table.assign(regression=regression, **spread)
    return table.assign(p_value=_p_values(table, margin))


def judged_slices(table: pd.DataFrame, margin: float, confidence: float) -> pd.DataFrame:
    """Adjust the p-values of all slices for their number, and say which are worse.

    Parameters
    ----------
    table
        From `slice_regressions`, perhaps of several kinds of slices behind one another.
    margin
        As there.
    confidence
        Of the slices that are called worse, a share of at most 1 - `confidence` is expected not to be.

    Returns
    -------
    DataFrame
        With `p_value_adjusted`, `lower` (the lower end of the one-sided interval of the regression, at the level that
        goes with the adjustment; minus infinity where the rows say nothing) and `worse`.
    """
    alpha = 1 - confidence
    p = adjusted(table["p_value"].to_numpy())
    worse = p <= alpha
    tests = max(1, int((~np.isnan(p)).sum()))
    lower = _lower_ends(table, alpha * max(1, int(worse.sum())) / tests)
    # Where the interval has no lower end, or rounding moves it over the margin, the test decides.
    lower = np.where(worse, np.maximum(lower, margin), np.minimum(lower, table["regression"].to_numpy()))
    return table.assign(p_value_adjusted=p, lower=lower, worse=worse)


def smallest_share(number: int, total: int, confidence: float) -> float:
    """Say how large a share surely is of which some were counted: the lower end of the exact one-sided interval.

    Clopper and Pearson (1934).

    Examples
    --------
    >>> round(smallest_share(2, 80, 0.95), 4), smallest_share(0, 80, 0.95)
    (0.0045, 0.0)
    """
    return float(special.betaincinv(number, total - number + 1, 1 - confidence)) if number else 0.0


def time_blocks(groups: IntArray, times: AnyArray | None) -> IntArray:
    """Put rows of one group that follow one another in time into blocks, because their errors depend on one another.

    A group's n rows make blocks of the cube root of n rows. Without times each row is its own block.

    Parameters
    ----------
    groups
        Group of each row, shape (n_rows,).
    times
        What orders them, shape (n_rows,), or None.

    Examples
    --------
    >>> time_blocks(np.zeros(8, dtype=int), np.array([7, 6, 5, 4, 3, 2, 1, 0])).tolist()
    [3, 3, 2, 2, 1, 1, 0, 0]
    """
    if times is None:
        return np.arange(len(groups))
    order = np.lexsort((times, groups))
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, dtype=int)
    sizes = np.diff(np.r_[starts, len(ordered)])
    place = np.arange(len(ordered)) - np.repeat(starts, sizes)
    length = np.repeat(np.maximum(1, np.rint(np.cbrt(sizes))).astype(np.int64), sizes)
    first = place % length == 0
    blocks = np.empty(len(groups), dtype=np.int64)
    blocks[order] = np.cumsum(first) - 1
    return blocks


def _spread(residuals: Sequence[AnyArray], slices: IntArray, clusters: IntArray, n_slices: int) -> dict[str, AnyArray]:
    """Cluster-robust variances of both means and their covariance, shape (n_slices,) each."""
    if not len(slices):
        return dict.fromkeys(("var_new", "var_old", "cov", "freedom"), np.zeros(n_slices))
    pairs, place = np.unique(slices * (int(clusters.max()) + 1) + clusters, return_inverse=True)
    of_slice = pairs // (int(clusters.max()) + 1)
    number = np.bincount(of_slice, minlength=n_slices)
    new, old = (np.bincount(place, weights=residual) for residual in residuals)
    correction = number / np.maximum(number - 1, 1)

    def summed(products: AnyArray) -> AnyArray:
        sums: AnyArray = correction * np.bincount(of_slice, weights=products, minlength=n_slices)
        return sums

    return {"var_new": summed(new**2), "var_old": summed(old**2), "cov": summed(new * old), "freedom": number - 1.0}


def _widest(spreads: Sequence[dict[str, AnyArray]], margin: float) -> dict[str, AnyArray]:
    """Of several kinds of clusters, take for each slice the one that says that the least is known."""
    chosen = dict(spreads[0])
    for spread in spreads[1:]:
        wider = _variance(spread, margin) > _variance(chosen, margin)
        wider &= spread["freedom"] + 1 >= _FEWEST_CLUSTERS
        chosen = {name: np.where(wider, spread[name], values) for name, values in chosen.items()}
    return chosen


def _variance(spread: dict[str, AnyArray] | pd.DataFrame, margin: float) -> AnyArray:
    """Variance of the difference between the new mean and the old one with its margin."""
    factor = 1 + margin
    variance: AnyArray = spread["var_new"] - 2 * factor * spread["cov"] + factor**2 * spread["var_old"]
    return np.maximum(np.asarray(variance), 0.0)


def _p_values(table: pd.DataFrame, margin: float) -> AnyArray:
    new, old, freedom = (table[name].to_numpy(dtype=np.float64) for name in ("new_loss", "old_loss", "freedom"))
    difference = new - (1 + margin) * old
    error = np.sqrt(_variance(table, margin))
    scale = _ROUNDING * (np.abs(new) + np.abs(old))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = special.stdtr(np.maximum(freedom, 1), -difference / error)
    p = np.where(error > scale, p, np.where(difference > scale, 0.0, 1.0))
    return np.where(freedom >= 1, p, np.nan)


def _lower_ends(table: pd.DataFrame, level: float) -> AnyArray:
    """Lower ends of Fieller's one-sided intervals of the regressions."""
    new, old, freedom = (table[name].to_numpy(dtype=np.float64) for name in ("new_loss", "old_loss", "freedom"))
    var_new, var_old, cov = (table[name].to_numpy(dtype=np.float64) for name in ("var_new", "var_old", "cov"))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = -special.stdtrit(np.maximum(freedom, 1), level)
        a, b, c = old**2 - t**2 * var_old, new * old - t**2 * cov, new**2 - t**2 * var_new
        root = (b - np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a
    return np.where((a > 0) & (freedom >= 1), root - 1, -np.inf)
