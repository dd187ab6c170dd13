"""Local or global? Each child against its parent and against the global model, on the same held-out rows.

Every model in the comparison was fitted without these rows. The loss is the absolute error (for classifiers: 0 for a
right label, 1 for a wrong one), because one wild row must not decide for a group. Two tests of paired losses, both
two-sided (with weights, means are weighted):

- regression: the paired t-test on the differences of the losses. For forecasts one step ahead it is the test of Diebold
  and Mariano (1995) with the small-sample correction of Harvey, Leybourne and Newbold (1997). Unlike Wilcoxon's
  signed-rank test it asks about the mean loss, which is what is saved, and needs no symmetric differences.
- classification, and differences that do not vary: the exact sign test, which for labels is McNemar's.

Weighted rows have no exact test: weighted labels are judged by the t-test too. It counts Kish's effective number of
rows, so that a few heavy rows are few; equal weights give the plain test.

Thousands of groups are thousands of tests, of which some are clear by chance alone. So verdicts go by the p-values as
Benjamini and Hochberg (1995) adjust them: of the differences that are called clear, 5 % are expected to be none.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy import special

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.evaluation.holdout import POOLED_COLUMN, level_column
from metamodel.tables.keys import GroupKey, decode_keys

__all__ = [
    "SIGNIFICANT",
    "adjusted",
    "compare_with_parents",
    "nearest_parent",
    "paired_p_values",
    "saved_of_pooled",
    "saved_together",
    "verdicts",
]

# Below this adjusted p-value a difference counts as one.
SIGNIFICANT = 0.05


def compare_with_parents(holdout: pd.DataFrame, task: str, fitted: Collection[GroupKey]) -> pd.DataFrame:
    """Compare every child with its nearest fitted parent, and with the global model.

    Parameters
    ----------
    holdout
        From `diagnostics.gather_holdouts`, of the children.
    task
        "regression" or "classification".
    fitted
        Keys of all groups, of all levels, that have a child.

    Returns
    -------
    DataFrame, index encoded key
        `loss` and `parent_loss`: the means; `compared_rows`: rows that child and parent both held back, those of
        weight 0 left out; `error_saved`: share of the parent's mean loss that the child saves, negative where it is
        worse; `error_saved_global`: the same against the global model; `p_value`; `p_value_adjusted` for the number of
        children; `better_than_parent`: "yes" or "no" where that is below 0.05, else "undecided". Children that share
        no such row with their parent are left out.
    """
    depth = max(map(len, decode_keys(holdout["key"].cat.categories[:1])), default=0)  # all children are of one level
    if all(len(key) >= depth for key in fitted):  # nobody has a parent, and no row has to be looked at
        holdout = holdout.iloc[:0].assign(key=lambda rows: rows["key"].cat.remove_unused_categories())
    keys = list(holdout["key"].cat.categories)
    groups = holdout["key"].cat.codes.to_numpy().astype(np.int64)
    levels = [nearest_parent(key, fitted) for key in decode_keys(keys)]
    actual = holdout["actual"].to_numpy()
    child_losses = _loss(actual, holdout["predicted"].to_numpy(), task)
    level_of_row = np.asarray(levels, dtype=np.int64)[groups] if len(holdout) else np.empty(0, dtype=np.int64)
    parent = np.full(len(holdout), np.nan)
    for level in sorted({level for level in levels if level >= 0}):
        at = level_of_row == level
        parent[at] = _loss(actual[at], holdout[level_column(level)].to_numpy()[at], task)
    weights = holdout["weight"].to_numpy() if "weight" in holdout else None
    compared = _compare(groups, child_losses, parent, weights, task, len(keys))
    compared["error_saved_global"] = _saved(holdout, level_column(0) if () in fitted else "", task)
    compared.index = pd.Index(keys, name="key")
    compared = compared[compared["compared_rows"] > 0]
    p = adjusted(compared["p_value"].to_numpy())
    return compared.assign(p_value_adjusted=p, better_than_parent=verdicts(p, compared["error_saved"].to_numpy()))


def saved_of_pooled(holdout: pd.DataFrame, task: str) -> pd.Series:
    """Share of the pooled model's mean loss that each child saves on the rows that both held back; index encoded key.

    Parameters
    ----------
    holdout
        The children's held-out rows; without what a pooled model said of them the shares are null.
    task
        "regression" or "classification".
    """
    return pd.Series(_saved(holdout, POOLED_COLUMN, task), index=pd.Index(holdout["key"].cat.categories, name="key"))


def saved_together(holdout: pd.DataFrame, task: str) -> dict[str, float]:
    """Measure all children together against the pooled and the global model, on the rows that all of them held back.

    Parameters
    ----------
    holdout
        The children's held-out rows.
    task
        "regression" or "classification".

    Returns
    -------
    dict
        `pooled_rows`: how many rows; `error_saved_of_pooled`, `error_saved_of_global`: share of the other model's mean
        loss that the children save, negative where they are worse. Empty without such a model or such rows.
    """
    rivals = {"pooled": POOLED_COLUMN, "global": level_column(0)}
    columns = {name: column for name, column in rivals.items() if column in holdout}
    if "pooled" not in columns:
        return {}
    actual = holdout["actual"].to_numpy()
    losses = {name: _loss(actual, holdout[column].to_numpy(), task) for name, column in columns.items()}
    child_loss = _loss(actual, holdout["predicted"].to_numpy(), task)
    weights = holdout["weight"].to_numpy() if "weight" in holdout else np.ones(len(holdout))
    comparable = np.isfinite([child_loss, *losses.values()]).all(axis=0) & (weights > 0)
    if not comparable.any():
        return {}
    mean = np.average(child_loss[comparable], weights=weights[comparable])
    means = {name: np.average(loss[comparable], weights=weights[comparable]) for name, loss in losses.items()}
    saved = {f"error_saved_of_{name}": float(1 - mean / of_rival) for name, of_rival in means.items() if of_rival > 0}
    return {"pooled_rows": int(comparable.sum()), **saved}


def _saved(holdout: pd.DataFrame, column: str, task: str) -> AnyArray:
    """Share of a rival's mean loss that each child saves, shape (n_groups,)."""
    n_groups = len(holdout["key"].cat.categories)
    if column not in holdout:
        return np.full(n_groups, np.nan)
    groups = holdout["key"].cat.codes.to_numpy().astype(np.int64)
    actual = holdout["actual"].to_numpy()
    own, rival = (_loss(actual, holdout[name].to_numpy(), task) for name in ("predicted", column))
    weights = holdout["weight"].to_numpy() if "weight" in holdout else None
    compared = _compare(groups, own, rival, weights, task, n_groups)
    saved: AnyArray = compared["error_saved"].where(compared["compared_rows"] > 0).to_numpy()
    return saved


def adjusted(p_values: AnyArray) -> AnyArray:
    """Adjust p-values for their number, as Benjamini and Hochberg (1995) do; missing ones stay missing.

    Those below a limit then hold, in expectation, no larger share of false discoveries than the limit, where the tests
    are independent or positively dependent.

    Parameters
    ----------
    p_values
        Shape (n_tests,).

    Examples
    --------
    >>> adjusted(np.array([0.01, 0.04, np.nan, 0.9])).round(4).tolist()
    [0.03, 0.06, nan, 0.9]
    """
    from scipy.stats import false_discovery_control  # takes long to import, and no worker needs it

    found = np.array(p_values, dtype=np.float64)
    known = ~np.isnan(found)
    if known.any():
        found[known] = false_discovery_control(found[known], method="bh")
    return found


def verdicts(p_values: AnyArray, saved: AnyArray) -> AnyArray:
    """Say "yes" (better), "no" (worse) or "undecided" of children, by their adjusted p-values and the error they save.

    Examples
    --------
    >>> verdicts(np.array([0.01, 0.01, 0.2]), np.array([0.3, -0.1, 0.5])).tolist()
    ['yes', 'no', 'undecided']
    """
    clear = p_values < SIGNIFICANT
    return np.where(clear & (saved > 0), "yes", np.where(clear, "no", "undecided"))


def paired_p_values(
    differences: AnyArray, groups: IntArray, n_groups: int, exact: bool, weights: AnyArray | None = None
) -> AnyArray:
    """Two-sided p-values of paired differences, for many groups at once.

    Parameters
    ----------
    differences
        Shape (n_rows,).
    groups
        Number of each row's group, shape (n_rows,).
    n_groups
        Number of groups.
    exact
        Use the sign test for all groups, and not only where the differences do not vary.
    weights
        Of the differences, above 0, shape (n_rows,); the sign test does without. None for equal ones.

    Returns
    -------
    ndarray, shape (n_groups,)
        NaN for a group without rows; 1 where nothing differs.

    Examples
    --------
    >>> paired_p_values(np.array([1.0, 2.0, 3.0]), np.zeros(3, dtype=int), 1, exact=False).round(4).tolist()
    [0.0742]
    """
    count = np.bincount(groups, minlength=n_groups)
    positive = np.bincount(groups, weights=differences > 0, minlength=n_groups)
    negative = np.bincount(groups, weights=differences < 0, minlength=n_groups)
    signs = np.minimum(1.0, 2 * special.bdtr(np.minimum(positive, negative), (positive + negative).astype(int), 0.5))
    signs = np.where(count > 0, signs, np.nan)
    if exact:
        return signs
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = _relative(weights, groups, count)
        mean = _means(relative * differences, groups, count)
        squares = _means(relative * (differences - mean[groups]) ** 2, groups, count)
        freedom = count / _means(relative**2, groups, count) - 1
        statistic = mean / np.sqrt(squares / freedom)
    # Rounding lets equal differences vary in their last bits; infinite errors have no mean.
    varies = np.isfinite(statistic) & (np.sqrt(squares) > 1e-12 * np.abs(mean))
    p = 2 * special.stdtr(np.where(varies, freedom, 1.0), -np.abs(np.where(varies, statistic, 0.0)))
    return np.where(varies & (count > 1), p, signs)


def _relative(weights: AnyArray | None, groups: IntArray, count: IntArray) -> AnyArray:
    """Weights in units of their group's mean, shape (n_rows,)."""
    return np.ones(len(groups)) if weights is None else weights / _means(weights, groups, count)[groups]


def _means(values: AnyArray, groups: IntArray, count: IntArray) -> AnyArray:
    means: AnyArray = np.bincount(groups, weights=values, minlength=len(count)) / count
    return means


def nearest_parent(key: GroupKey, fitted: Collection[GroupKey]) -> int:
    """Level of the nearest parent that is among the fitted groups; -1 where none is.

    Examples
    --------
    >>> [nearest_parent((country, 7), [(), ("DE",)]) for country in ("DE", "FR")]
    [1, 0]
    """
    for level in range(len(key) - 1, -1, -1):
        if key[:level] in fitted:
            return level
    return -1


def _loss(actual: AnyArray, predicted: AnyArray, task: str) -> AnyArray:
    if task == "regression":
        with np.errstate(invalid="ignore"):
            loss: AnyArray = np.abs(predicted.astype(np.float64) - actual)
        return loss
    return np.where(pd.isna(predicted), np.nan, (predicted != actual).astype(np.float64))


def _compare(
    groups: IntArray, own: AnyArray, parent: AnyArray, weights: AnyArray | None, task: str, n_groups: int
) -> pd.DataFrame:
    both = ~np.isnan(parent) & ~np.isnan(own) & (True if weights is None else weights > 0)
    groups, own, parent = groups[both], own[both], parent[both]
    weights = None if weights is None else weights[both]
    count = np.bincount(groups, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = _relative(weights, groups, count)
        losses = [_means(relative * values, groups, count) for values in (own, parent)]
        saved = np.where(losses[1] > 0, 1 - losses[0] / losses[1], np.where(losses[0] == 0, 0.0, -np.inf))
        exact = task == "classification" and weights is None
        p = paired_p_values(parent - own, groups, n_groups, exact, weights)
    table = {"compared_rows": count, "error_saved": saved, "p_value": p}
    return pd.DataFrame({**table, "loss": losses[0], "parent_loss": losses[1]})
