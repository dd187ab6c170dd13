"""Which columns changed, in which parents and in which groups: tables whose cells are coloured by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from metamodel.bundle.display import name_of
from metamodel.report.formatting import number
from metamodel.tables.keys import GroupKey, decode_key

__all__ = ["HeatTable", "changes_by_group", "changes_by_parent"]

_ROWS: Final = 40

_COLUMNS: Final = 24

# A move of one standard deviation, or a quarter of the groups, has the full colour.
_FULL_EFFECT, _FULL_SHARE = 1.0, 0.25


@dataclass(frozen=True)
class HeatTable:
    """A table to be coloured.

    Attributes
    ----------
    columns
        Names of the columns that changed somewhere, the commonest first.
    rows
        Dicts of `name`, `note`, and `cells`: of each column a text, and a colour from 0 to 1.
    more_rows, more_columns
        What is not shown.
    """

    columns: list[str]
    rows: list[dict[str, Any]]
    more_rows: int = 0
    more_columns: int = 0


def changes_by_parent(
    groups: pd.DataFrame, keys: Sequence[GroupKey], cells: pd.DataFrame, columns: pd.DataFrame
) -> HeatTable | None:
    """Say of each parent in which share of its groups each column changed.

    Parameters
    ----------
    groups
        With `key` and `status`.
    keys
        The same keys, decoded.
    cells
        With `key` and `column`: what changed.
    columns
        With `column` and `changed`.

    Returns
    -------
    HeatTable or None
        None where there is one group column, or nothing changed.
    """
    depth = max(map(len, keys), default=0)
    names, more = _chosen(columns)
    if depth < 2 or not names:
        return None
    level = _level(keys, depth)
    parents = [key[:level] for key in keys]
    place = {parent: i for i, parent in enumerate(dict.fromkeys(parents))}
    of_group = np.array([place[parent] for parent in parents])
    tested = groups["status"].isin(["performance", "drift", "ok"]).to_numpy()
    totals = np.bincount(of_group[tested], minlength=len(place))
    changed = np.zeros((len(place), len(names)), dtype=np.int64)
    group = pd.Index(groups["key"]).get_indexer(cells["key"])
    any_change = np.bincount(of_group[np.unique(group)], minlength=len(place))
    column = pd.Index(names).get_indexer(cells["column"])
    np.add.at(changed, (of_group[group[column >= 0]], column[column >= 0]), 1)
    # The parents with the largest share of changed groups first, and of them the largest.
    order = np.lexsort((-totals, -any_change / np.maximum(totals, 1))).tolist()
    texts = list(place)
    rows = [
        {
            "name": name_of(texts[i]),
            "note": f"{any_change[i]:,} of {totals[i]:,}",
            "cells": [_share_cell(int(n), int(totals[i])) for n in changed[i]],
        }
        for i in order[:_ROWS]
    ]
    return HeatTable(names, rows, len(order) - len(rows), more)


def changes_by_group(groups: pd.DataFrame, cells: pd.DataFrame, columns: pd.DataFrame) -> HeatTable | None:
    """Say of the worst groups how far each column moved, of those that no incident explains first; None where none did.

    Parameters
    ----------
    groups
        With `key`, `status`, `incident`, `answered_by`, `columns`, `p_performance`, `p_drift` and `rows`.
    cells
        With `key`, `column`, `what` and `effect`.
    columns
        As for `changes_by_parent`.
    """
    alarms = groups[groups["status"].isin(["performance", "drift"])]
    names, more = _chosen(columns)
    if not len(alarms) or not names:
        return None
    p_value = alarms[["p_performance", "p_drift"]].min(axis=1)
    explained, last = alarms["incident"] != "", alarms["status"] != "performance"
    worst = alarms.assign(p_value=p_value, explained=explained, last=last).sort_values(
        ["explained", "last", "p_value", "key"], kind="stable"
    )
    shown = worst.head(_ROWS)
    effects: dict[tuple[str, str], tuple[str, float]] = {}
    of_shown = cells[cells["key"].isin(shown["key"])]
    for key, column, what, effect in of_shown[["key", "column", "what", "effect"]].itertuples(index=False, name=None):
        effects[key, column] = what, float(effect)
    rows = [
        {
            "name": name_of(decode_key(key)),
            "note": _note(status, who, changed),
            "cells": [_effect_cell(effects.get((key, name))) for name in names],
        }
        for key, status, who, changed in shown[["key", "status", "answered_by", "columns"]].itertuples(
            index=False, name=None
        )
    ]
    return HeatTable(names, rows, len(worst) - len(rows), more)


def _note(status: str, who: str, changed: str) -> str:
    """Say what the coloured cells do not: that intervals cover too little, and that somebody else answers."""
    return f"{status}{': coverage' if '(coverage)' in changed else ''}{'' if who == 'child' else f', by {who}'}"


def _chosen(columns: pd.DataFrame) -> tuple[list[str], int]:
    changed = columns[columns["changed"] > 0].sort_values(["changed", "column"], ascending=[False, True])
    names: list[str] = changed["column"].tolist()
    return names[:_COLUMNS], max(0, len(names) - _COLUMNS)


def _level(keys: Sequence[GroupKey], depth: int) -> int:
    """Choose the longest prefix that has few enough parents to be seen at once."""
    sizes = {level: len({key[:level] for key in keys}) for level in range(1, depth)}
    return max((level for level, size in sizes.items() if size <= _ROWS), default=1)


def _share_cell(changed: int, tested: int) -> dict[str, Any]:
    share = changed / tested if tested else 0.0
    text = "" if not changed else f"{100 * share:.0f}" if share >= 0.005 else "<1"
    return {"text": text, "tip": f"{changed:,} of {tested:,}", "heat": min(1.0, share / _FULL_SHARE)}


def _effect_cell(change: tuple[str, float] | None) -> dict[str, Any]:
    if change is None:
        return {"text": "", "tip": "", "heat": 0.0}
    what, effect = change
    heat = max(0.25, min(1.0, abs(effect) / _FULL_EFFECT)) if np.isfinite(effect) else 1.0
    short = {"missing values": "∅", "unseen categories": "new"}.get(what)
    return {"text": short or number(float(f"{effect:.2g}")), "tip": f"{what}: {number(effect)}", "heat": heat}
