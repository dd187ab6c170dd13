"""Which children are not worth storing, because their parent answers as well for all that is known.

Both rules go by mean losses on the same held-out rows, from `significance.compare_with_parents`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.messages import count
from metamodel.evaluation.significance import SIGNIFICANT, paired_p_values

__all__ = ["ENOUGH_ROWS", "not_better", "unproven"]

# A child with so many rows stays, unless it is clearly worse; one with fewer has to show that it is better.
ENOUGH_ROWS = 30


def not_better(compared: pd.DataFrame, answering: Mapping[str, str]) -> dict[str, str]:
    """Say which children are not better than their parent on the same rows.

    Parameters
    ----------
    compared
        From `compare_with_parents`.
    answering
        Encoded key → who answers in the child's place: "global", "parent:1", ...

    Returns
    -------
    dict
        Encoded key → reason for the ledger.
    """
    compared = compared[compared.index.isin(list(answering))]  # the others have no child, or nobody in its place
    worth = compared["loss"] < compared["parent_loss"]
    hopeless = compared[~worth & np.isfinite(compared["parent_loss"].to_numpy(dtype=np.float64))]
    return {
        str(key): f"pruned: {_figures(row, answering[str(key)])}"
        for key, row in zip(hopeless.index, hopeless.itertuples(), strict=True)
    }


def unproven(compared: pd.DataFrame, answering: Mapping[str, str], rows: Mapping[str, int]) -> dict[str, str]:
    """Say which small children have not shown to be better than their parent, and which are clearly worse than it.

    A child of fewer than 30 rows is judged on a handful, on which every second one looks good by chance. One that is
    better than its parent on them stays where that is clear (p < 0.05): of itself, or of all small children together,
    whose gains are tested as one sample. A child with more rows goes where it is worse, and that is clear for so many
    children (`better_than_parent`).

    Parameters
    ----------
    compared
        From `compare_with_parents`.
    answering
        Encoded key → who answers in the child's place; children without a fitted parent are not in it, and stay.
    rows
        Encoded key → rows that the child was fitted on.

    Returns
    -------
    dict
        Encoded key → reason for the ledger.
    """
    judged = dict(zip(compared.index, compared.itertuples(), strict=True))
    together = _clearly_better(compared.loc[[key for key in judged if key in answering and rows[key] < ENOUGH_ROWS]])
    reasons = {}
    for key, who in answering.items():
        row, small = judged.get(key), rows[key] < ENOUGH_ROWS
        if row is None and small and not together:
            reasons[key] = f"pruned: {count(rows[key], 'row')}, and none to compare it with {who} on"
        elif row is None or not np.isfinite(row.parent_loss):
            continue
        elif small and not (row.loss < row.parent_loss and (together or row.p_value < SIGNIFICANT)):
            chance = f", which may be chance (p = {row.p_value:.2g})" if row.loss < row.parent_loss else ""
            reasons[key] = f"pruned: {_figures(row, who)}{chance}, {count(rows[key], 'row')} in all"
        elif row.better_than_parent == "no":
            reasons[key] = f"pruned: {_figures(row, who)}"
    return reasons


def _clearly_better(compared: pd.DataFrame) -> bool:
    """Whether children lose less than their parents, by what each of them gains on the mean."""
    gains = (compared["parent_loss"] - compared["loss"]).to_numpy(dtype=np.float64)
    gains = gains[np.isfinite(gains)]
    p = paired_p_values(gains, np.zeros(len(gains), dtype=np.int64), 1, exact=False)[0]
    return bool(len(gains) and gains.mean() > 0 and p < SIGNIFICANT)


def _figures(row: Any, who: str) -> str:
    return f"mean error {row.loss:.6g}, {row.parent_loss:.6g} of {who}, on {count(int(row.compared_rows), 'row')}"
