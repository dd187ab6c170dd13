"""What a ledger's columns add up to: the figures that are printed, logged with the run, and stored in the bundle."""

from typing import Any

import pandas as pd

from metamodel.bundle.carry.told import update_counts
from metamodel.bundle.ledger_queries import cells, keys_of, rows_of_groups
from metamodel.common.group_status import OUTCOMES, POOLED, TRAINED
from metamodel.evaluation.metrics import aggregate, metric_names
from metamodel.tables.grouping import group_sizes
from metamodel.training.fit_warnings import warned_groups
from metamodel.training.plan import Plan

__all__ = ["summarize"]


def summarize(ledger: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    """Count groups and rows, and aggregate every metric over the groups (parents left out).

    Parameters
    ----------
    ledger
        From `to_ledger`, with the columns of the comparison.
    plan
        What was asked.
    """
    depth = len(plan.keys.columns)
    children = rows_of_groups(ledger, depth)
    statuses = children["status"].value_counts()
    summary = {
        "groups": len(children),
        **{f"groups_{status}": int(statuses.get(status, 0)) for status in OUTCOMES},
        "rows": plan.rows,
        "rows_dropped": plan.dropped_rows,
        "duplicate_rows": plan.equal_rows.copies,
        "duplicate_rows_dropped": plan.equal_rows.copies if plan.spec.drop_duplicates else 0,
        "parents_fitted": int(((ledger["level"] < depth) & ledger["status"].isin(TRAINED)).sum()),
        "seconds_fitting": float(ledger.loc[ledger["status"] != "carried", "seconds"].sum()),
        "model_bytes": int(ledger["bytes"].sum()),
        **_fallback_rates(ledger, plan),
        **_local_or_global(children),
        **_against_baselines(children),
        **warned_groups(children),
        "groups_chosen_by_others": int((children["candidate"] != children["own_best"]).sum()),
        **({"groups_warm": int((children["started_from"] != "").sum())} if plan.options.warm_start else {}),
        **group_sizes(plan.sizes.values()),
        **_updated(ledger, plan),
    }
    figures = cells(children, children["status"].isin(TRAINED), metric_names(plan.spec.task))
    return summary | aggregate(figures, plan.spec.task)


def _updated(ledger: pd.DataFrame, plan: Plan) -> dict[str, float]:
    blended, fallback = plan.options.shrinkage is not None, bool(plan.answering_levels)
    return update_counts(ledger, plan.keys, plan.levels, fallback=fallback, blended=blended)


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
    skill = children.loc[children["status"].isin(TRAINED), "skill"].dropna()
    return {
        "groups_with_baseline": len(skill),
        "groups_above_baseline": int((skill > 0).sum()),
        **({"skill_median": float(skill.median())} if len(skill) else {}),
    }


def _fallback_rates(ledger: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """How often a parent, or nobody, would answer for the training groups."""
    every = list(zip(keys_of(ledger, plan.keys), ledger["status"].tolist(), strict=True))
    fitted = {key for key, status in every if status in TRAINED}
    by_pooled = {key for key, status in every if status == POOLED}
    groups_served = rows_served = groups_unanswered = rows_unanswered = 0
    for key in plan.sizes.keys() - fitted - by_pooled:
        number = plan.sizes[key]
        if any(key[:level] in fitted for level in plan.answering_levels):
            groups_served, rows_served = groups_served + 1, rows_served + number
        else:
            groups_unanswered, rows_unanswered = groups_unanswered + 1, rows_unanswered + number
    total = plan.rows
    return {
        "pooled_row_share": sum(plan.sizes[key] for key in by_pooled) / total,
        "fallback_groups": groups_served,
        "fallback_row_share": rows_served / total,
        "unanswered_groups": groups_unanswered,
        "unanswered_row_share": rows_unanswered / total,
    }
