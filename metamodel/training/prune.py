"""Local or global: the ledger says how each child does against its parents; `prune` leaves out what is no better."""

import numpy as np
import pandas as pd

from metamodel.bundle.ledger import COMPARISON_COLUMNS
from metamodel.bundle.ledger_queries import keys_of
from metamodel.evaluation.significance import compare_with_parents, pruned
from metamodel.tables.keys import encode_key
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
    encoded = [encode_key(key) for key in keys_of(ledger, plan.keys)]
    fitted = frozenset(keys_of(ledger[ledger["status"] == "fitted"], plan.keys))
    compared = compare_with_parents(holdout, plan.spec.task, fitted)
    ledger = ledger.assign(**_comparison(compared.reindex(encoded)))
    if not plan.options.prune:
        return ledger, {}
    judged = compared if answered is None else compare_with_parents(answered, plan.spec.task, fitted)
    reasons = pruned(judged)
    return _without_children(ledger, pd.Series(encoded).map(reasons)), reasons


def _comparison(compared: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the columns of the comparison, with zero rows and no verdict where nothing was compared."""
    columns = {name: compared[name].to_numpy() for name in COMPARISON_COLUMNS}
    columns["compared_rows"] = compared["compared_rows"].fillna(0).astype(np.int64).to_numpy()
    columns["better_than_parent"] = compared["better_than_parent"].fillna("").to_numpy(dtype=object)
    return columns


def _without_children(ledger: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """Make rows that have a reason those of groups without a child; the reasons that they had stand behind it."""
    gone = reasons.notna()
    before = ledger["reason"].where(ledger["reason"] == "", "; " + ledger["reason"])
    ledger = ledger.assign(reason=ledger["reason"].where(~gone, reasons + before))
    ledger.loc[gone, ["status", "bytes", "sha256"]] = ["skipped", 0, ""]
    if "weights" in ledger:  # of a model that is not there any more
        ledger.loc[gone, "weights"] = ""
    return ledger
