"""Local or global: the ledger says how each child does against its parents; `prune` leaves out what is no better."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from metamodel.bundle.ledger import COMPARISON_COLUMNS
from metamodel.bundle.ledger_queries import encoded_keys_of, keys_of
from metamodel.common.group_status import TRAINED
from metamodel.evaluation.pruning import not_better, unproven
from metamodel.evaluation.significance import compare_with_parents, nearest_parent, saved_of_pooled
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.plan import Plan

__all__ = ["compare_and_prune"]


def compare_and_prune(
    ledger: pd.DataFrame, holdout: pd.DataFrame, plan: Plan, answered: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Say of every child whether it is better than its parent and the global model, on rows that none of them saw.

    Parameters
    ----------
    ledger
        From `to_ledger`.
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
    keys = keys_of(ledger, plan.keys)
    encoded = encoded_keys_of(ledger, plan.keys)
    fitted = frozenset(key for key, status in zip(keys, ledger["status"], strict=True) if status in TRAINED)
    compared = compare_with_parents(holdout, plan.spec.task, fitted)
    of_pooled = saved_of_pooled(holdout, plan.spec.task)
    ledger = ledger.assign(**_comparison(compared.reindex(encoded)))
    ledger["error_saved_pooled"] = of_pooled.reindex(encoded).to_numpy()
    if not (plan.options.prune is True or plan.options.prunes_small):
        return ledger, {}
    judged = compared if answered is None else compare_with_parents(answered, plan.spec.task, fitted)
    answering = _answering(fitted, plan.answering_levels, len(plan.keys.columns))
    rows = dict(zip(encoded, ledger["rows"].tolist(), strict=True))
    reasons = not_better(judged, answering) if plan.options.prune is True else unproven(judged, answering, rows)
    fresh = {key for key, status in zip(encoded, ledger["status"], strict=True) if status == "fitted"}
    reasons = {key: why for key, why in reasons.items() if key in fresh}  # those that are carried stay
    return _without_children(ledger, pd.Series(encoded).map(reasons)), reasons


def _answering(fitted: Collection[GroupKey], levels: Sequence[int], depth: int) -> dict[str, str]:
    """Say who would answer in the place of each child that has a fitted parent."""
    nearest = {key: nearest_parent(key, fitted) for key in fitted if len(key) == depth}
    return {
        encode_key(key): f"parent:{level}" if level else "global" for key, level in nearest.items() if level in levels
    }


def _comparison(compared: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the columns of the comparison, with zero rows and no verdict where nothing was compared."""
    columns = {name: compared[name].to_numpy() for name in COMPARISON_COLUMNS if name in compared}
    columns["compared_rows"] = compared["compared_rows"].fillna(0).astype(np.int64).to_numpy()
    columns["better_than_parent"] = compared["better_than_parent"].fillna("").to_numpy(dtype=object)
    return columns


def _without_children(ledger: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """Make rows that have a reason those of groups without a child; the reasons that they had stand behind it."""
    gone = reasons.notna()
    earlier = ledger["reason"].where(ledger["reason"] == "", "; " + ledger["reason"])
    # Where no row has a reason, the column of reasons holds no texts.
    ledger = ledger.assign(reason=ledger["reason"].where(~gone, reasons.astype(object).where(gone, "") + earlier))
    ledger.loc[gone, ["status", "bytes", "sha256"]] = ["skipped", 0, ""]
    if "weights" in ledger:  # of a model that is not there any more
        ledger.loc[gone, "weights"] = ""
    return ledger
