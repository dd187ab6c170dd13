"""Weigh the levels of every group at the end of a training, and measure what blending their predictions is worth."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metamodel.bundle.ledger import SHRINKAGE_COLUMNS
from metamodel.bundle.ledger_queries import keys_of
from metamodel.common.group_status import TRAINED
from metamodel.evaluation.holdout import level_column
from metamodel.evaluation.metrics import METRICS, PRIMARY, regression_metrics, skill
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.prediction.blending import weight_columns
from metamodel.tables.keys import GroupKey, decode_key, decode_keys, encode_key
from metamodel.training.plan import Plan

__all__ = ["Shrunk", "blend_holdout", "check_weights", "judge_blend", "shrink", "weight_table", "weight_texts"]

_LOG = logging.getLogger(__name__)

_MEASURED = [name for name in SHRINKAGE_COLUMNS if name != "weights"]


@dataclass(frozen=True)
class Shrunk:
    """What shrinkage adds to a training; without it, nothing.

    Attributes
    ----------
    ledger
        The ledger with `SHRINKAGE_COLUMNS`, and a word in `reason` where a level is missing.
    holdout
        The held-out rows as they were, and the blended prediction of each child as `blended`.
    answered
        The same rows with what would be answered in the place of what each model alone said; None without shrinkage.
    weights
        From `weight_table`; without columns where nothing is blended.
    summary
        From `judge_blend`.
    """

    ledger: pd.DataFrame
    holdout: pd.DataFrame
    answered: pd.DataFrame | None = None

    @property
    def answered_rows(self) -> pd.DataFrame:
        """Held-out rows of the groups, with what would be answered."""
        return self.holdout if self.answered is None else self.answered

    weights: pd.DataFrame = field(default_factory=pd.DataFrame)
    summary: dict[str, float] = field(default_factory=dict)

    def answers(self, holdouts: Mapping[int, pd.DataFrame]) -> dict[int, pd.DataFrame]:
        """Put what would be answered, blended or not, into the held-out rows of all levels' models."""
        if self.answered is None:
            return dict(holdouts)
        depth = max(holdouts)
        found = {depth: self.answered}
        for level, held in holdouts.items():
            if level < depth:
                shorter = [other for other in holdouts if other < level]
                found[level] = blend_holdout(held, self.weights.iloc[:, : level + 1], level, shorter)
        return found


def check_weights(plan: Plan) -> None:
    """Weigh every group of a plan by the rows of the table, before anything is fitted.

    Raises
    ------
    InputError
        The caller's function fails for the row counts of a group, or no level has the rows that are asked for.
    """
    shrinkage = plan.options.shrinkage
    if shrinkage is not None:
        shrinkage.check_rows(plan.rows)
        weight_table(plan.sizes_of_all_levels(), shrinkage, len(plan.keys.columns))


def shrink(ledger: pd.DataFrame, holdout: pd.DataFrame, plan: Plan) -> Shrunk:
    """Weigh the levels of every fitted group, and judge the blended predictions.

    Parameters
    ----------
    ledger
        From `ledger_rows.to_ledger`.
    holdout
        From `diagnostics.gather_holdouts`, of the children.
    plan
        What was asked.
    """
    shrinkage = plan.options.shrinkage
    if shrinkage is None:
        return Shrunk(ledger, holdout)
    depth = len(plan.keys.columns)
    keys = keys_of(ledger, plan.keys)
    fitted = ledger["status"].isin(TRAINED).tolist()
    rows = {key: int(n) for key, n, there in zip(keys, ledger["rows"], fitted, strict=True) if there}
    weights = weight_table(rows, shrinkage, depth)
    answered = blend_holdout(holdout, weights, depth, plan.levels)
    judged, summary = judge_blend(holdout, answered, plan.options.metric or PRIMARY["regression"])
    _warn_if_worse(summary, shrinkage.name)
    encoded = list(map(encode_key, keys))
    measured = judged.reindex(encoded)
    texts = weight_texts(weights)
    columns = {name: measured[name].to_numpy() for name in _MEASURED}
    columns["blended_rows"] = measured["blended_rows"].fillna(0).astype(np.int64).to_numpy()
    missing = [_missing(key, rows) if key in rows else "" for key in keys]
    reasons = ["; ".join(filter(None, pair)) for pair in zip(ledger["reason"], missing, strict=True)]
    ledger = ledger.assign(reason=reasons, weights=[texts.get(key, "") for key in encoded], **columns)
    return Shrunk(ledger, holdout.assign(blended=answered["predicted"]), answered, weights, summary)


def _warn_if_worse(summary: Mapping[str, float], method: str) -> None:
    before, after = (summary.get(f"{which}_rmse_mean", np.nan) for which in ("unblended", "blended"))
    if after > before:
        _LOG.warning(
            "warning: shrinkage=%r raises the groups' mean held-out rmse from %.4g to %.4g: the parents predict these "
            "groups badly. Leave it out, or give the group a larger share.",
            method,
            before,
            after,
        )


def _missing(key: GroupKey, rows: Mapping[GroupKey, int]) -> str:
    levels = [str(level) for level in range(len(key)) if key[:level] not in rows]
    return f"shrinkage: no model of level {', '.join(levels)}" if levels else ""


def weight_table(rows: Mapping[GroupKey, int], shrinkage: Shrinkage, depth: int) -> pd.DataFrame:
    """Weigh the levels of every group that has a model, parents and the global model included.

    Parameters
    ----------
    rows
        Key → rows that its model was fitted on. A level without a model has no part: the others are weighed as if
        it did not exist.
    shrinkage
        The method.
    depth
        Number of group columns.

    Returns
    -------
    DataFrame, index encoded key
        `weight_<level>`; NaN where there is no model to ask.

    Examples
    --------
    >>> weight_table({(): 30, ("a",): 10}, Shrinkage("relative"), 1)
              weight_0  weight_1
    key
    []            1.00       NaN
    ["a"]         0.75      0.25
    """
    table = np.full((len(rows), depth + 1), np.nan)
    for i, key in enumerate(rows):
        chain = [level for level in range(len(key)) if key[:level] in rows] + [len(key)]
        table[i, chain] = shrinkage.weights([rows[key[:level]] for level in chain])
    return pd.DataFrame(table, pd.Index(map(encode_key, rows), name="key"), weight_columns(depth))


def weight_texts(table: pd.DataFrame) -> dict[str, str]:
    """Write every row of `weight_table` as a JSON array, from the global level to the group; null: no model.

    Examples
    --------
    >>> weight_texts(weight_table({(): 30, ("a", 1): 10}, Shrinkage("relative"), 2))
    {'[]': '[1.0]', '["a",1]': '[0.75, null, 0.25]'}
    """
    return {
        str(key): json.dumps([None if np.isnan(one) else one for one in row[: len(decode_key(key)) + 1]])
        for key, row in zip(table.index, table.to_numpy().tolist(), strict=True)
    }


def blend_holdout(holdout: pd.DataFrame, table: pd.DataFrame, depth: int, levels: Sequence[int]) -> pd.DataFrame:
    """Put blended predictions in the place of what each model alone said of held-out rows.

    Parameters
    ----------
    holdout
        From `diagnostics.gather_holdouts`, of the children.
    table
        From `weight_table`.
    depth, levels
        Number of group columns, and the levels of the parents.

    Returns
    -------
    DataFrame
        The same rows and columns; `predicted` and each parent's prediction are blended with those of their own
        parents. Null where a parent that counts had the row among its training rows.
    """
    if not len(holdout):
        return holdout
    keys = decode_keys(holdout["key"].cat.categories.tolist())
    codes = holdout["key"].cat.codes.to_numpy()
    said = {level: holdout[level_column(level)].to_numpy(dtype=np.float64) for level in levels}
    said[depth] = holdout["predicted"].to_numpy(dtype=np.float64)
    blended = {}
    for level in said:
        weights = table.reindex([encode_key(key[:level]) for key in keys]).to_numpy().reshape(-1, depth + 1)
        parts = [np.zeros(len(holdout))]
        for other in sorted(other for other in said if other <= level):
            weight = weights[codes, other]
            with np.errstate(invalid="ignore"):
                parts.append(np.where((weight == 0) | np.isnan(weight), 0.0, weight * said[other]))
        answered = ~np.isnan(weights[codes, level])  # a model that was not fitted said nothing
        blended["predicted" if level == depth else level_column(level)] = np.where(
            answered, np.sum(parts, axis=0), np.nan
        )
    return holdout.assign(**blended)


def judge_blend(holdout: pd.DataFrame, blended: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, dict[str, float]]:
    """Measure each child's blended predictions beside its own, on the rows that have both.

    Parameters
    ----------
    holdout, blended
        Before and after `blend_holdout`.
    metric
        What `blended_skill` is measured in.

    Returns
    -------
    table : DataFrame, index encoded key
        `SHRINKAGE_COLUMNS` but `weights`. `blended_skill` is the share of the child's own error that blending
        saves.
    summary : dict
        Means over the groups of both, and how many groups blending makes better.
    """
    actual, child_predicted, blended_predicted = (
        frame[name].to_numpy(dtype=np.float64)
        for frame, name in ((holdout, "actual"), (holdout, "predicted"), (blended, "predicted"))
    )
    weights = holdout["weight"].to_numpy() if "weight" in holdout else None
    codes = holdout["key"].cat.codes.to_numpy()
    rows = np.flatnonzero(~np.isnan(blended_predicted) & ~np.isnan(child_predicted))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    present, starts = np.unique(codes[rows], return_index=True)
    rows_of_table, alone = [], []
    for part in np.split(rows, starts[1:]) if len(rows) else []:
        weight = None if weights is None else weights[part]
        unblended_metrics, blended_metrics = (
            regression_metrics(actual[part], predicted[part], weight)
            for predicted in (child_predicted, blended_predicted)
        )
        measured = {f"blended_{name}": value for name, value in blended_metrics.items()}
        gain = skill(metric, blended_metrics[metric], unblended_metrics[metric])
        rows_of_table.append({"blended_rows": len(part), **measured, "blended_skill": gain})
        alone.append(unblended_metrics)
    keys = pd.Index(holdout["key"].cat.categories[present].astype(str), name="key")
    table = pd.DataFrame(rows_of_table, index=keys, columns=_MEASURED, dtype=np.float64)
    summary = {"groups_better_blended": float((table["blended_skill"] > 0).sum())}
    for name in METRICS["regression"] if rows_of_table else ():
        unblended = np.asarray([unblended_metrics[name] for unblended_metrics in alone])
        if not np.isnan(unblended).all():
            summary[f"unblended_{name}_mean"] = float(np.nanmean(unblended))
            summary[f"blended_{name}_mean"] = float(table[f"blended_{name}"].mean())
    return table, summary
