"""Questions to a ledger: whose row is which, who has a child, which groups do worst, who would answer."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import IntArray, as_objects
from metamodel.common.group_status import ANSWERED, POOLED, WITH_CHILD
from metamodel.evaluation.metrics import METRICS, PRIMARY, SECONDARY, is_better
from metamodel.prediction.pooled_model import POOLED as BY_POOLED
from metamodel.tables.keys import GroupKey, KeySchema, encode_key, encode_keys

__all__ = [
    "answerer_of_key",
    "answerers",
    "cells",
    "deciding_metric",
    "encoded_keys_of",
    "interval_summary",
    "keys_of",
    "parents_with_child",
    "rows_of_groups",
    "who_answers",
    "with_keys",
    "worst_first",
]

_KEY_DTYPES = {"integer": "Int64", "boolean": "boolean", "string": "object", "date": "object"}


def rows_of_groups(ledger: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Leave parents out; a ledger without any is returned as it is, because to copy all its columns takes long.

    Parameters
    ----------
    ledger
        With the column `level`.
    depth
        Number of group columns.
    """
    is_group = ledger["level"] == depth
    return ledger if is_group.all() else ledger[is_group]


def cells(ledger: pd.DataFrame, rows: pd.Series, columns: Iterable[str]) -> pd.DataFrame:
    """Take some columns of some rows; `loc` copies all columns before it takes two.

    Parameters
    ----------
    ledger
        Any of its columns, or all.
    rows
        Whether to take each row.
    columns
        Their names, in order.
    """
    return ledger[list(columns)][rows]


def interval_summary(ledger: pd.DataFrame, depth: int) -> dict[str, float]:
    """Count groups by whose rows set their radius, and the rows that intervals reached; parents are left out.

    Parameters
    ----------
    ledger
        With the columns of intervals.
    depth
        Number of group columns.
    """
    answered = (ledger["level"] == depth) & ledger["status"].isin(ANSWERED)
    children = cells(ledger, answered, ["interval_level", "coverage", "coverage_rows"])
    level = children["interval_level"]
    rows = int(children["coverage_rows"].sum())
    covered = float((children["coverage"] * children["coverage_rows"]).sum())
    return {
        "groups_with_own_interval": int((level == depth).sum()),
        "groups_borrowing_interval": int((level < depth).sum()),
        "groups_without_interval": int(level.isna().sum()),
        **({"interval_coverage": covered / rows} if rows else {}),
    }


def with_keys(ledger: pd.DataFrame, keys: Sequence[GroupKey], schema: KeySchema) -> pd.DataFrame:
    """Give a ledger its group columns and its one order: children first, then their parents, each sorted by key.

    Parameters
    ----------
    ledger
        One row a group, in any order.
    keys
        Each row's canonical key.
    schema
        The group columns.
    """
    ledger = ledger.copy(deep=False)
    for i, column in enumerate(schema.columns):
        values = [key[i] if i < len(key) else None for key in keys]
        ledger[column.name] = pd.array(values, dtype=_KEY_DTYPES[column.kind]) if column.kind in _KEY_DTYPES else values
    lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    ranks = [_ranks([key[i] if i < len(key) else None for key in keys]) for i in range(len(schema.columns))]
    return ledger.iloc[np.lexsort((*ranks[::-1], -lengths))].reset_index(drop=True)


def _ranks(values: Sequence[Any]) -> IntArray:
    """Give every value of a column its place among all of them, in their order; nulls come last."""
    distinct = set(values) - {None}
    rank = dict(zip(sorted(distinct), range(len(distinct)), strict=True)) | {None: len(distinct)}
    return np.fromiter(map(rank.__getitem__, values), dtype=np.int64, count=len(values))


def _is_canonical(dtype: Any, kind: str) -> bool:
    """Whether a ledger's column of this type holds the very values that keys have, and nothing has to be converted."""
    return (kind == "integer" and pd.api.types.is_integer_dtype(dtype)) or (
        kind == "string" and isinstance(dtype, pd.StringDtype)
    )


def _are_canonical(ledger: pd.DataFrame, schema: KeySchema) -> bool:
    return all(_is_canonical(ledger[column.name].dtype, column.kind) for column in schema.columns)


def keys_of(ledger: pd.DataFrame, schema: KeySchema) -> list[GroupKey]:
    """Give every row's canonical key; that of a parent is shorter.

    Parameters
    ----------
    ledger
        With the group columns and `level`.
    schema
        The group columns.
    """
    columns = [as_objects(ledger[name], None) for name in schema.names]
    if _are_canonical(ledger, schema):
        every = zip(ledger["level"].tolist(), zip(*columns, strict=True), strict=True)
        return [values[:level] for level, values in every]
    return [
        tuple(schema.columns[i].canonical(value) for i, value in enumerate(values[:level]))
        for level, *values in zip(ledger["level"], *columns, strict=True)
    ]


def encoded_keys_of(ledger: pd.DataFrame, schema: KeySchema) -> list[str]:
    """Give every row's key as one text; see `keys_of`."""
    if not _are_canonical(ledger, schema):
        return encode_keys(keys_of(ledger, schema))
    columns = [_encoded_values(ledger[column.name], column.kind) for column in schema.columns]
    levels = ledger["level"].tolist()
    if set(levels) == {len(columns)}:  # no parents
        return [
            f"[{text}]" for text in (columns[0] if len(columns) == 1 else map(",".join, zip(*columns, strict=True)))
        ]
    return [f"[{','.join(values[:level])}]" for level, values in zip(levels, zip(*columns, strict=True), strict=True)]


def _encoded_values(values: pd.Series, kind: str) -> list[str]:
    """Write each value of a group column as `encode_key` does within its key."""
    if kind == "integer" and isinstance(values.dtype, np.dtype) and values.dtype.kind == "i":
        return list(map(repr, values.tolist()))
    plain = as_objects(values, None).tolist()
    if kind == "integer":
        return ["null" if value is None else repr(value) for value in plain]
    texts = {value: encode_key((value,))[1:-1] for value in set(plain)}
    return [texts[value] for value in plain]


def deciding_metric(children: pd.DataFrame, task: str) -> str:
    """Choose the metric column that says most: there may be no holdout, or no probabilities."""
    metrics = dict.fromkeys([PRIMARY[task], SECONDARY[task], *METRICS[task]])
    names = [f"{part}_{metric}" for part in ("holdout", "train") for metric in metrics]
    return next((name for name in names if children[name].notna().any()), names[0])


def worst_first(children: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sort groups by a metric column, those without it left out."""
    less_is_worse = is_better(metric.partition("_")[2], 1.0, 0.0)
    return children.dropna(subset=[metric]).sort_values(metric, ascending=less_is_worse, kind="stable")


def who_answers(ledger: pd.DataFrame, schema: KeySchema, levels: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Count who would answer for the training rows.

    Parameters
    ----------
    ledger, schema
        The ledger and its group columns.
    levels
        Levels of the fallback chain, the longest prefix first; see `Manifest.chain`.

    Returns
    -------
    dict
        "child", "pooled" where it answers a group, "parent:<level>", "global" and "nobody", in this order → groups
        and rows.
    """
    children = rows_of_groups(ledger, len(schema.columns))
    pooled = ["pooled"] if (children["status"] == POOLED).any() else []
    names = [_name_of(level) for level in levels]
    counts: dict[str, tuple[int, int]] = dict.fromkeys(["child", *pooled, *names, "nobody"], (0, 0))
    for who, rows in zip(answerers(ledger, schema, levels), children["rows"].tolist(), strict=True):
        groups, before = counts[who]
        counts[who] = (groups + 1, before + int(rows))
    return counts


def answerers(ledger: pd.DataFrame, schema: KeySchema, levels: Sequence[int]) -> list[str]:
    """Say who answers each group, parents aside, in the ledger's order: see `who_answers`."""
    children = rows_of_groups(ledger, len(schema.columns))
    parents = parents_with_child(ledger, schema)
    own = np.where(children["status"].isin(WITH_CHILD), "child", np.where(children["status"] == POOLED, "pooled", ""))
    return [
        who or answerer_of_key(key, parents, levels)
        for who, key in zip(own.tolist(), keys_of(children, schema), strict=True)
    ]


def answerer_of_key(key: GroupKey, parents: Collection[GroupKey], levels: Sequence[int]) -> str:
    """Say who answers a group without a child: the first of the levels that has a model, or "nobody"."""
    return next((_name_of(level) for level in levels if level == BY_POOLED or key[:level] in parents), "nobody")


def parents_with_child(ledger: pd.DataFrame, schema: KeySchema) -> frozenset[GroupKey]:
    """List the parents that have a model."""
    parents = ledger[(ledger["level"] < len(schema.columns)) & ledger["status"].isin(WITH_CHILD)]
    return frozenset(keys_of(parents, schema))


def _name_of(level: int) -> str:
    return "pooled" if level == BY_POOLED else f"parent:{level}" if level else "global"
