"""Who answers each group that was fitted, and what they said of its held-out rows.

A child that gained nothing is not stored, and neither is one whose fit failed; a parent answers in its place. Its group
is watched all the same: by its own rows, and by the errors of who answers.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import answerers, encoded_keys_of, rows_of_groups
from metamodel.common.group_status import ANSWERED
from metamodel.evaluation.holdout import POOLED_COLUMN, level_column
from metamodel.tables.keys import KeySchema

__all__ = ["answered_rows", "watched_groups"]


def watched_groups(ledger: pd.DataFrame, schema: KeySchema, chain: Sequence[int]) -> dict[str, str]:
    """List the groups that were fitted and are answered by somebody.

    Parameters
    ----------
    ledger, schema
        The ledger and its group columns.
    chain
        Levels that answer for groups without a child, see `Manifest.answering_chain`.

    Returns
    -------
    dict
        Encoded key → who answers: "child", "pooled", "parent:<level>" or "global".
    """
    children = rows_of_groups(ledger, len(schema.columns))
    who = answerers(ledger, schema, chain)
    tried = children["status"].isin([*ANSWERED, "failed"]) | children["reason"].str.startswith("pruned")
    keys = encoded_keys_of(children, schema)
    return {key: by for key, by, fitted in zip(keys, who, tried.tolist(), strict=True) if fitted and by != "nobody"}


def answered_rows(held: pd.DataFrame, who: Mapping[str, str]) -> pd.DataFrame:
    """Put what is answered in the place of what each child said of its held-out rows; null where nobody knows it.

    Parameters
    ----------
    held
        Held-out rows: `key` (categorical), `predicted`, and what the pooled model and the parents said.
    who
        From `watched_groups`.
    """
    columns = np.array([_column(who.get(key, "child")) for key in held["key"].cat.categories], dtype=object)
    of_row = columns[held["key"].cat.codes.to_numpy()] if len(columns) else np.zeros(0, dtype=object)
    predicted = held["predicted"]
    for name in set(columns) - {"predicted"}:
        said = held[name] if name in held else pd.Series(np.nan, index=held.index)
        predicted = predicted.where(of_row != name, said)
    return held.assign(predicted=predicted)


def _column(who: str) -> str:
    """Name the column of the held-out rows with what somebody said."""
    if who == "child":
        return "predicted"
    if who == "pooled":
        return POOLED_COLUMN
    return level_column(int(who.removeprefix("parent:")) if who != "global" else 0)
