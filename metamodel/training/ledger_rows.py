"""The ledger: one row for every group of every level, and what its columns add up to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger import keys_of, with_keys
from metamodel.common.messages import count
from metamodel.evaluation.metrics import aggregate
from metamodel.evaluation.significance import COMPARED, compare_with_parents, pruned
from metamodel.exceptions import AllGroupsFailed
from metamodel.fitting.tuning import TUNING_COLUMNS
from metamodel.tables.checks import group_sizes
from metamodel.tables.keys import decode_key, encode_key
from metamodel.training.plan import Plan

__all__ = ["assemble", "judge", "refuse_empty", "summarize", "tuning_table"]


def assemble(rows: Iterable[Mapping[str, Any]], plan: Plan) -> pd.DataFrame:
    """Bring the rows of all tasks to one table, in one order whatever the order of the tasks.

    Parameters
    ----------
    rows
        One a group, with its encoded key under "key".
    plan
        Names the columns.

    Returns
    -------
    DataFrame
        The plan's ledger columns; children first, then their parents, each sorted by key.
    """
    rows = list(rows)
    ordered = with_keys(pd.DataFrame(rows), [decode_key(row["key"]) for row in rows], plan.keys)
    for name in plan.ledger_columns:
        if name not in ordered:
            ordered[name] = np.nan
    return ordered[plan.ledger_columns].assign(error=ordered["error"].fillna(""))


def tuning_table(rows: Iterable[Mapping[str, Any]], plan: Plan) -> pd.DataFrame:
    """Bring what all searches found to one table, in the ledger's order.

    Parameters
    ----------
    rows
        As for `assemble`, with the group's searches under "tuning".
    plan
        Names the group columns.

    Returns
    -------
    DataFrame
        The group columns and `tuning.TUNING_COLUMNS`; one row for each group and candidate that was searched.
    """
    found = [{"key": row["key"], "level": row["level"], **one} for row in rows for one in row.get("tuning", ())]
    columns = [*plan.keys.names, *TUNING_COLUMNS]
    if not found:
        return pd.DataFrame(columns=columns)
    table = with_keys(pd.DataFrame(found), [decode_key(row["key"]) for row in found], plan.keys)[columns]
    params = table["params"].map(lambda best: json.dumps(best, sort_keys=True))
    return table.assign(params=params, rounds=table["rounds"].astype("Int64"))


def refuse_empty(ledger: pd.DataFrame) -> None:
    """Refuse a training that has no child to show.

    Raises
    ------
    AllGroupsFailed
        With the commonest reasons.
    """
    if (ledger["status"] == "fitted").any():
        return
    reasons = ledger["error"].where(ledger["error"] != "", ledger["reason"])
    numbers = reasons.str.rstrip(".").value_counts().head(3)
    commonest = "; ".join(f"{count(int(number), 'group')}: {reason}" for reason, number in numbers.items())
    raise AllGroupsFailed(
        f"None of {count(len(ledger), 'group')} could be fitted, so there is no model to write. "
        f"Commonest reasons: {commonest}. Correct the table or the estimator."
    )


def judge(
    ledger: pd.DataFrame, holdout: pd.DataFrame, plan: Plan, answered: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Say of every child whether it is better than its parent and the global model, on rows that none of them saw.

    Parameters
    ----------
    ledger
        From `assemble`.
    holdout
        From `diagnostics.gather_holdouts`, of the children.
    plan
        What was asked.
    answered
        The same rows with what would be answered, by which children are pruned; None where each model answers alone.

    Returns
    -------
    ledger : DataFrame
        With the columns of the comparison; a child that shall be pruned is "skipped", with the figures as its reason.
    pruned : dict
        Encoded key → reason of those children, none unless the plan asks for it.
    """
    encoded = [encode_key(key) for key in keys_of(ledger, plan.keys)]
    fitted = frozenset(keys_of(ledger[ledger["status"] == "fitted"], plan.keys))
    compared = compare_with_parents(holdout, plan.spec.task, fitted)
    found = compared.reindex(encoded)
    columns = {name: found[name].to_numpy() for name in COMPARED}
    columns["compared_rows"] = found["compared_rows"].fillna(0).astype(np.int64).to_numpy()
    columns["better_than_parent"] = found["better_than_parent"].fillna("").to_numpy(dtype=object)
    reasons: dict[str, str] = {}
    if plan.options.prune:
        judged = compared if answered is None else compare_with_parents(answered, plan.spec.task, fitted)
        reasons = pruned(judged)
    gone = pd.Series(encoded).isin(list(reasons)).to_numpy()
    ledger = ledger.assign(**columns)
    ledger.loc[gone, ["status", "bytes", "sha256"]] = ["skipped", 0, ""]
    if "weights" in ledger:  # of a model that is not there any more
        ledger.loc[gone, "weights"] = ""
    own = ledger["reason"].where(ledger["reason"] == "", "; " + ledger["reason"])
    ledger["reason"] = ledger["reason"].where(~gone, pd.Series([reasons.get(key, "") for key in encoded]) + own)
    return ledger, reasons


def summarize(ledger: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    """Count groups and rows, and aggregate every metric over the groups (parents left out).

    Parameters
    ----------
    ledger
        From `assemble`.
    plan
        What was asked.
    """
    depth = len(plan.keys.columns)
    children = ledger[ledger["level"] == depth]
    statuses = children["status"].value_counts()
    summary = {
        "groups": len(children),
        **{f"groups_{status}": int(statuses.get(status, 0)) for status in ("fitted", "carried", "skipped", "failed")},
        "rows": plan.rows,
        "rows_dropped": plan.dropped_rows,
        "duplicate_rows": plan.equal_rows.copies,
        "duplicate_rows_dropped": plan.equal_rows.copies if plan.spec.drop_duplicates else 0,
        "parents_fitted": int(((ledger["level"] < depth) & (ledger["status"] == "fitted")).sum()),
        "seconds_fitting": float(ledger["seconds"].sum()),
        "model_bytes": int(ledger["bytes"].sum()),
        **_fallback_rates(ledger, plan),
        **_local_or_global(children),
        **_against_baselines(children),
        "groups_chosen_by_others": int((children["candidate"] != children["own_best"]).sum()),
        **({"groups_warm": int((children["started_from"] != "").sum())} if plan.options.warm_start else {}),
        **group_sizes(plan.sizes.values()),
    }
    return summary | aggregate(children[children["status"] == "fitted"], plan.spec.task)


def _local_or_global(children: pd.DataFrame) -> dict[str, int]:
    verdicts = children["better_than_parent"].value_counts()
    return {
        "groups_compared": int((children["compared_rows"] > 0).sum()),
        "groups_better_than_parent": int(verdicts.get("yes", 0)),
        "groups_worse_than_parent": int(verdicts.get("no", 0)),
        "groups_pruned": int(children["reason"].str.startswith("pruned").sum()),
    }


def _against_baselines(children: pd.DataFrame) -> dict[str, float]:
    """How many children beat the baseline beside them, of those that have one, and how clearly."""
    skill = children.loc[children["status"] == "fitted", "skill"].dropna()
    return {
        "groups_with_baseline": len(skill),
        "groups_above_baseline": int((skill > 0).sum()),
        **({"skill_median": float(skill.median())} if len(skill) else {}),
    }


def _fallback_rates(ledger: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """How often a parent, or nobody, would answer for the training groups."""
    fitted = set(keys_of(ledger[ledger["status"] == "fitted"], plan.keys))
    groups_served = rows_served = groups_unanswered = rows_unanswered = 0
    for key, number in plan.sizes.items():
        if key in fitted:
            continue
        if any(key[:level] in fitted for level in plan.answering_levels):
            groups_served, rows_served = groups_served + 1, rows_served + number
        else:
            groups_unanswered, rows_unanswered = groups_unanswered + 1, rows_unanswered + number
    total = plan.rows
    return {
        "fallback_groups": groups_served,
        "fallback_row_share": rows_served / total,
        "unanswered_groups": groups_unanswered,
        "unanswered_row_share": rows_unanswered / total,
    }
