"""The tables of a training made of its groups' rows: the ledger, and the table of searches."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.ledger_queries import with_keys
from metamodel.common.group_status import TRAINED
from metamodel.common.messages import count
from metamodel.common.uris import redacted, without_credentials
from metamodel.exceptions import AllGroupsFailed
from metamodel.fitting.tuning import TUNING_COLUMNS
from metamodel.tables.keys import GroupKey, decode_key, decode_keys
from metamodel.training.plan import Plan

__all__ = ["in_shard", "refuse_empty", "to_ledger", "tuning_table"]


def to_ledger(rows: Sequence[LedgerRow], plan: Plan) -> pd.DataFrame:
    """Bring the rows of all tasks to one table, in one order whatever the order of the tasks.

    Parameters
    ----------
    rows
        One a group.
    plan
        Names the columns.

    Returns
    -------
    DataFrame
        The plan's ledger columns, null where they are written later; children first, then their parents, each sorted
        by key.
    """
    if not rows:  # an update that retrains nobody
        return pd.DataFrame(columns=plan.ledger_columns)
    keys = decode_keys([row.key for row in rows])
    rows = [_with_odd_fields(row, key, plan) for row, key in zip(rows, keys, strict=True)] if plan.odd_rows else rows
    ordered = with_keys(pd.DataFrame([row.cells() for row in rows]), keys, plan.keys)
    for name in ("params", "warnings"):  # an estimator's parameter may be an address
        if any("://" in text for text in ordered[name].unique() if isinstance(text, str)):
            ordered[name] = ordered[name].map(without_credentials)
    return ordered.reindex(columns=plan.ledger_columns)


def _with_odd_fields(row: LedgerRow, key: GroupKey, plan: Plan) -> LedgerRow:
    """Say in a group's reason in how many of its rows a field was taken for null."""
    odd = plan.odd_rows.get(key, 0)
    if row.level < len(plan.keys.columns):
        odd = sum(rows for child, rows in plan.odd_rows.items() if child[: row.level] == key)
    note = f"odd_fields: {count(odd, 'row')} with a text read as null"
    return replace(row, reason="; ".join([row.reason, note] if row.reason else [note])) if odd else row


def in_shard(row: LedgerRow, file: str) -> LedgerRow:
    """Say of a group's row where its child is gathered."""
    placed = object.__new__(LedgerRow)  # `replace` takes ten times as long, for every group
    vars(placed).update(vars(row), shard=file)
    return placed


def tuning_table(rows: Iterable[LedgerRow], plan: Plan) -> pd.DataFrame:
    """Bring what all searches found to one table, in the ledger's order.

    Parameters
    ----------
    rows
        As for `to_ledger`.
    plan
        Names the group columns.

    Returns
    -------
    DataFrame
        The group columns and `tuning.TUNING_COLUMNS`; one row for each group and candidate that was searched.
    """
    searches = [(row, record) for row in rows for record in row.tuning]
    columns = [*plan.keys.names, *TUNING_COLUMNS]
    if not searches:
        return pd.DataFrame(columns=columns)
    records = pd.DataFrame([{"level": row.level, **record} for row, record in searches])
    table = with_keys(records, [decode_key(row.key) for row, _ in searches], plan.keys)[columns]
    params = table["params"].map(lambda best: redacted(json.dumps(best, sort_keys=True)))
    return table.assign(params=params, rounds=table["rounds"].astype("Int64"))


def refuse_empty(ledger: pd.DataFrame) -> None:
    """Refuse a training that has no child to show.

    Raises
    ------
    AllGroupsFailed
        With the commonest reasons.
    """
    if ledger["status"].isin(TRAINED).any():
        return
    reasons = ledger["error"].where(ledger["error"] != "", ledger["reason"])
    numbers = reasons.str.rstrip(".").value_counts().head(3)
    commonest = "; ".join(f"{count(int(number), 'group')}: {reason}" for reason, number in numbers.items())
    raise AllGroupsFailed(
        f"None of {count(len(ledger), 'group')} could be fitted, so there is no model to write. "
        f"Commonest reasons: {commonest}. Correct the table or the estimator."
    )
