"""Join what a training says of the groups it fitted with what the version before says of those that are carried."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.diagnostics import HOLDOUT_NAME, IMPORTANCE_NAME
from metamodel.bundle.ledger import COLUMNS, Column
from metamodel.bundle.ledger_queries import keys_of, with_keys
from metamodel.bundle.reader import Bundle
from metamodel.common.arrays import AnyArray
from metamodel.common.group_status import POOLED, TRAINED
from metamodel.tables.keys import KeySchema

__all__ = [
    "carried_holdout",
    "carried_importance",
    "carried_ledger",
    "group_values_of",
    "join_evidence",
    "join_ledgers",
    "replaced_values",
    "restored",
    "retired_rows",
]


def carried_ledger(
    ledger: pd.DataFrame, keys: Sequence[str], carried: Collection[str], columns: Sequence[str], version: str
) -> pd.DataFrame:
    """Take the rows of groups that are carried over from the ledger of the version before.

    Parameters
    ----------
    ledger
        Of the version before.
    keys
        Encoded key of each of its rows.
    carried
        Those of groups that are carried.
    columns
        Of the new ledger, in order; null where the old one has no such column.
    version
        What the version before is called.
    """
    rows = _rows_of(ledger, keys, carried)
    has_child = rows["status"].isin(TRAINED)
    own = rows["status"].isin((*TRAINED, POOLED)) & (rows["trained_version"] == "")
    return rows.assign(
        status=rows["status"].where(~has_child, "carried"),
        trained_version=rows["trained_version"].where(~own, version),
        retrain_reason="",
    ).reindex(columns=list(columns))


def retired_rows(
    ledger: pd.DataFrame, keys: Sequence[str], retired: Mapping[str, str], columns: Sequence[str]
) -> pd.DataFrame:
    """Make rows of groups that are given up: they have no child any more, and say since when they are gone.

    Parameters
    ----------
    ledger, keys, columns
        As for `carried_ledger`.
    retired
        Encoded key → since when, or "damaged".
    """
    rows = _rows_of(ledger, keys, retired)
    since = [retired[key] for key in keys if key in retired]
    lost = ("bytes", "shard", "sha256", "stack", "weights")
    without = dict(zip(lost, (0, "", "", "no child", ""), strict=True))
    rows = rows.assign(**{name: value for name, value in without.items() if name in rows})
    reason = ["damaged" if start == "damaged" else f"missing_since: {start}" for start in since]
    return rows.assign(status="retired", reason=reason, retrain_reason="").reindex(columns=list(columns))


def _rows_of(ledger: pd.DataFrame, keys: Sequence[str], wanted: Collection[str]) -> pd.DataFrame:
    rows = ledger[np.array([key in wanted for key in keys], dtype=bool)].copy(deep=False)
    rows.index = pd.RangeIndex(len(rows))  # `reset_index` would copy them once more
    return rows


def join_ledgers(parts: Sequence[pd.DataFrame], keys: KeySchema, task: str) -> pd.DataFrame:
    """Put ledgers of the same columns behind one another, and into the one order of a ledger."""
    parts = [part for part in parts if len(part)] or list(parts[:1])
    declared = {name: column for column in COLUMNS for name in column.names(task)}
    columns = {
        name: _column([part[name] for part in parts], declared.get(name))
        for name in parts[0].columns
        if name not in keys.names
    }
    names = list(parts[0].columns)
    every = [key for part in parts for key in keys_of(part, keys)]
    return with_keys(pd.DataFrame(columns), every, keys)[names]


def restored(ledger: pd.DataFrame, carried: pd.DataFrame, keys: KeySchema, names: Collection[str]) -> pd.DataFrame:
    """Give the carried rows of a joined ledger the values that they had.

    Parameters
    ----------
    ledger
        From `join_ledgers`, with what was computed since.
    carried
        The carried rows, in the same order.
    keys
        The group columns.
    names
        The columns.
    """
    known = set(keys_of(carried, keys))
    mask = np.array([key in known for key in keys_of(ledger, keys)], dtype=bool)
    return ledger.assign(**{name: _replaced(ledger[name], mask, carried[name]) for name in names})


def _replaced(column: pd.Series, mask: AnyArray, values: pd.Series) -> pd.Series:
    """Put values in the place of others, in the column's own type."""
    if isinstance(column.dtype, np.dtype) and column.dtype == values.dtype:  # as objects it takes ten times as long
        whole = column.to_numpy(copy=True)
        whole[mask] = values.to_numpy()
        return pd.Series(whole, index=column.index, dtype=column.dtype)
    objects = column.astype(object).to_numpy(copy=True)
    objects[mask] = values.astype(object).to_numpy()
    return pd.Series(objects, index=column.index, dtype=object).astype(column.dtype)


def carried_holdout(bundle: Bundle, carried: Collection[str]) -> pd.DataFrame | None:
    """Take the held-out rows of groups that are carried; None without any."""
    return _of_keys(bundle.read_table(HOLDOUT_NAME), carried)


def carried_importance(bundle: Bundle, carried: Collection[str]) -> pd.DataFrame | None:
    """Take the importances of groups that are carried; None without any."""
    return _of_keys(bundle.read_table(IMPORTANCE_NAME), carried)


def join_evidence(fitted: pd.DataFrame, carried: pd.DataFrame | None) -> pd.DataFrame:
    """Put held-out rows, or importances, of fitted and of carried groups into one table, ordered by level and key."""
    parts = [part for part in (fitted, carried) if part is not None and len(part)]
    if not parts or carried is None:
        return fitted
    names = sorted({name for part in parts for name in part["key"].cat.categories})
    code = {name: i for i, name in enumerate(names)}
    codes = [np.array([code[key] for key in part["key"].cat.categories])[part["key"].cat.codes] for part in parts]
    together = np.concatenate(codes)
    if "level" in fitted:
        depth = np.empty(len(names), dtype=np.int64)
        for of_part, part in zip(codes, parts, strict=True):
            depth[of_part] = -part["level"].to_numpy()
    else:  # held-out rows of groups alone
        depth = np.zeros(len(names), dtype=np.int64)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.lexsort((np.arange(len(names)), depth))] = np.arange(len(names))
    order = np.argsort(rank[together], kind="stable")  # each part is in order already, so that merging is all
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        if name == "key":
            columns[name] = pd.Categorical.from_codes(together[order], categories=names)
        else:
            columns[name] = _beside([part.get(name) for part in parts], parts, order)
    return pd.DataFrame(columns)


def _of_keys(table: pd.DataFrame | None, keys: Collection[str]) -> pd.DataFrame | None:
    if table is None:
        return None
    kept = np.array([name in keys for name in table["key"].cat.categories], dtype=bool)
    rows = table[kept[table["key"].cat.codes]]
    return rows.assign(key=rows["key"].cat.remove_unused_categories()) if len(rows) else None


def _beside(values: Sequence[pd.Series | None], parts: Sequence[pd.DataFrame], order: AnyArray) -> Any:
    """Put one column's values behind one another; null where a part has none."""
    known = next(one for one in values if one is not None)
    if isinstance(known.dtype, pd.CategoricalDtype):
        categories = known.cat.categories
        alike = (
            one if one.cat.categories.equals(categories) else one.cat.set_categories(categories)
            for one in values
            if one is not None
        )
        codes = np.concatenate([one.cat.codes for one in alike])
        return pd.Categorical.from_codes(codes[order], categories=categories)
    arrays = [
        np.full(len(part), np.nan) if one is None else one.to_numpy() for one, part in zip(values, parts, strict=True)
    ]
    return np.concatenate(arrays)[order]


def _column(values: Sequence[pd.Series], declared: Column | None) -> Any:
    """Put one column of several ledgers behind one another, in the type that is declared for it."""
    if declared is not None and declared.type == "number":
        return np.concatenate([one.to_numpy(dtype=np.float64, na_value=np.nan) for one in values])
    if declared is not None and declared.type == "integer":
        return _integers(values)
    return pd.Series(np.concatenate([one.astype(object).to_numpy() for one in values])).infer_objects()


def _integers(values: Sequence[pd.Series]) -> Any:
    if all(isinstance(one.dtype, np.dtype) and one.dtype.kind == "i" for one in values):
        return np.concatenate([one.to_numpy() for one in values]).astype(np.int64, copy=False)
    nullable = pd.array(np.concatenate([one.astype(object).to_numpy() for one in values]), dtype="Int64")
    return nullable if nullable.isna().any() else nullable.to_numpy(dtype=np.int64)


def group_values_of(bundle: Bundle, carried: Sequence[str]) -> pd.DataFrame:
    """Read the numbers that the answers of carried groups need; index encoded key."""
    values = bundle.group_values
    if values is None or not carried:
        return pd.DataFrame()
    return pd.DataFrame(values.of_encoded(carried), index=list(carried), columns=list(values.columns))


def replaced_values(fitted: pd.DataFrame, carried: pd.DataFrame) -> pd.DataFrame:
    """Put the numbers of carried groups in the place of those that were computed anew."""
    if not len(carried.columns):
        return fitted
    others = fitted.drop(index=fitted.index.intersection(carried.index))
    together: Mapping[str, AnyArray] = {
        name: np.concatenate([_floats(others, name), _floats(carried, name)])
        for name in dict.fromkeys([*fitted.columns, *carried.columns])
    }
    return pd.DataFrame(together, index=[*others.index, *carried.index])


def _floats(table: pd.DataFrame, name: str) -> AnyArray:
    return table[name].to_numpy(dtype=np.float64) if name in table else np.full(len(table), np.nan)
