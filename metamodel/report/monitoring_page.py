"""The HTML page of a monitored window: one sentence, incidents, a map of all groups, and the worst ones drawn.

It knows no monitoring: it gets tables and plain values, and is complete without a network or a script.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from metamodel.bundle.display import name_of
from metamodel.common.version import __version__
from metamodel.report.changes_by_column import changes_by_group, changes_by_parent
from metamodel.report.group_map import STATUSES, group_map
from metamodel.report.templates import page_template
from metamodel.tables.keys import decode_key, decode_keys

__all__ = ["render_monitoring"]

_LISTED: Final = 50

_MEANINGS: Final = {
    "performance": "errors changed",
    "drift": "rows changed",
    "ok": "tested, nothing changed",
    "few rows": "too few rows to test",
    "no rows": "no row in this window",
    "no reference": "not fitted in training",
}


def render_monitoring(
    tables: Mapping[str, pd.DataFrame],
    facts: Mapping[str, Any],
    drawn: Sequence[Mapping[str, Any]] = (),
    history: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Make the page.

    Parameters
    ----------
    tables
        `groups`, `columns`, `cells`, `incidents` and `retrain`; see docs/monitoring.md for their columns.
    facts
        `sentence`, `window`, `model`, `rows`, `labelled`, `notes`, and how it was tested: `fdr`, `min_effect`,
        `min_rows`, `baseline`.
    drawn
        Dicts with `key`, `column`, `kind`, `rows`, `p_value` and `bins` (`label`, `reference`, `window`: shares).
    history
        Dicts with `window`, `rows`, `labelled`, `large` and `expected`, the earliest first.

    Returns
    -------
    str
        A complete document that needs nothing from outside; some hundred kilobytes at 50,000 groups.
    """
    groups = tables["groups"].sort_values("key", kind="stable")
    keys = decode_keys(groups["key"].tolist())
    counted = groups["status"].value_counts()
    template = page_template("monitoring.html")
    return template.render(
        facts={"baseline": "training", **facts},
        version=__version__,
        answered_by=_answered_by(groups["answered_by"]),
        legend=[(name, _MEANINGS[name], int(counted.get(name, 0))) for name in STATUSES],
        incidents=_incidents(tables["incidents"]),
        map=group_map(keys, groups["status"].tolist(), _tips(groups)),
        explained=int(((groups["incident"] != "") & groups["status"].isin(["performance", "drift"])).sum()),
        several=len(groups) > 1 and max(map(len, keys), default=0) > 1,
        by_parent=changes_by_parent(groups, keys, tables["cells"], tables["columns"]),
        by_group=changes_by_group(groups, tables["cells"], tables["columns"]),
        drawn=_drawn(drawn),
        history=_history(history),
        retrain=_retrain(tables["retrain"]),
        columns=_columns(tables["columns"]),
    )


def _tips(groups: pd.DataFrame) -> list[str]:
    rows = groups[["key", "status", "answered_by", "rows", "columns"]].itertuples(index=False, name=None)
    return [
        f"{name_of(decode_key(key))}: {status}{_by(who)}, {number:,} rows{f'; {changed}' if changed else ''}"
        for key, status, who, number, changed in rows
    ]


def _by(who: str) -> str:
    return "" if who == "child" else f", answered by {who}"


def _answered_by(who: pd.Series) -> list[tuple[str, int]]:
    """Count the groups by who answers them, where it is not a child of their own everywhere."""
    counted = [(str(name), int(number)) for name, number in who.value_counts().items()]
    others = sorted(entry for entry in counted if entry[0] != "child")
    return [*(entry for entry in counted if entry[0] == "child"), *others] if others else []


def _incidents(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Put what blocks and what nobody has acknowledged first."""
    ordered = table.sort_values(["acknowledged", "blocks", "groups"], ascending=[True, False, False], kind="stable")
    return [
        {**row, "where": name_of(decode_key(row["key"]))} for row in ordered.head(_LISTED).to_dict(orient="records")
    ]


def _drawn(drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say how high each bar is, as a share of the highest one of its picture."""
    cells = []
    for cell in drawn:
        highest = max([*(one["reference"] for one in cell["bins"]), *(one["window"] for one in cell["bins"]), 1e-9])
        bars = [
            {**one, "then": 100 * one["reference"] / highest, "now": 100 * one["window"] / highest}
            for one in cell["bins"]
        ]
        cells.append({**cell, "group": name_of(decode_key(cell["key"])), "bars": bars})
    return cells


def _history(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    highest = max([one[name] or 0 for one in history for name in ("large", "expected")] + [1e-9])
    return [
        {
            **one,
            "share": one["labelled"] / one["rows"] if one["rows"] else None,
            "height": None if one["large"] is None else 100 * one["large"] / highest,
            "line": None if one["expected"] is None else 100 * one["expected"] / highest,
        }
        for one in history
    ]


def _retrain(table: pd.DataFrame) -> dict[str, Any]:
    if not len(table):
        return {"free": 0, "blocked": 0, "rows": [], "more": 0}
    ordered = table.sort_values(["priority", "key"], kind="stable")
    rows = [
        {**row, "group": name_of(decode_key(row["key"]))} for row in ordered.head(_LISTED).to_dict(orient="records")
    ]
    blocked = int(table["blocked"].sum())
    return {"free": len(table) - blocked, "blocked": blocked, "rows": rows, "more": len(table) - len(rows)}


def _columns(table: pd.DataFrame) -> list[dict[str, Any]]:
    ordered = table.sort_values(["share", "column"], ascending=[False, True], kind="stable")
    return list(ordered.to_dict(orient="records"))
