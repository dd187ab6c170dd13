"""Say in the ledger where each child comes from: when it was fitted, on which rows, and why in this training."""

from collections.abc import Mapping

import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of, keys_of
from metamodel.common.group_status import TRAINED
from metamodel.common.times import time_text
from metamodel.training.carrying.decisions import Decision
from metamodel.training.plan import Plan

__all__ = ["with_provenance"]


def with_provenance(
    ledger: pd.DataFrame, plan: Plan, now: str, reasons: Mapping[str, str], decisions: Mapping[str, Decision]
) -> pd.DataFrame:
    """Fill the columns of the stage "carry" for groups of this training.

    Parameters
    ----------
    ledger
        From `to_ledger`, of the groups that were to be fitted.
    plan
        What was asked.
    now
        When, as ISO 8601 writes it.
    reasons
        Encoded key → why it was retrained; empty for a training from nothing.
    decisions
        Encoded key → what came of its contest.
    """
    keys = keys_of(ledger, plan.keys)
    encoded = encoded_keys_of(ledger, plan.keys)
    newest, sizes = plan.newest_of_all_levels(), plan.sizes_of_all_levels()
    fitted = ledger["status"].isin(TRAINED).tolist()
    return ledger.assign(
        trained_version="",
        trained_at=[now if there else "" for there in fitted],
        data_through=[time_text(newest[key]) if key in newest else "" for key in keys],
        rows_seen=[sizes[key] for key in keys],
        retrain_reason=[reasons.get(key, "") for key in encoded],
        decision=[decided.decision if (decided := decisions.get(key)) else "" for key in encoded],
        decided_by=[decided.decided_by if (decided := decisions.get(key)) else "" for key in encoded],
        missing_since="",
    )
