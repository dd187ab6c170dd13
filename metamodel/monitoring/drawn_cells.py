"""The distributions of the worst groups' changed columns beside their references, ready to be drawn."""

import itertools
from typing import Any, Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bins import BINS, COMMONEST, MISSING, OTHER, UNSEEN
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.monitoring.judge_window import JudgedWindow

__all__ = ["drawn_cells"]

DRAWN_GROUPS: Final = 12

DRAWN_COLUMNS: Final = 3


def drawn_cells(judged: JudgedWindow, groups: pd.DataFrame) -> list[dict[str, Any]]:
    """Choose the worst groups, and say how the rows of their changed columns are distributed, then and now.

    Groups that no incident explains come first.

    Parameters
    ----------
    judged
        The window.
    groups
        From `monitor_tables.group_table`.

    Returns
    -------
    list of dict
        `key` (encoded), `column`, `kind`, `rows` and `p_value`; `bins`: dicts of `label`, `reference` and `window`,
        shares of the rows; of a number `edges`, the deciles between its first ten bins.
    """
    alarms = groups[groups["status"].isin(["performance", "drift"])].head(len(judged.reference))
    alarms = alarms.assign(
        p=alarms[["p_performance", "p_drift"]].min(axis=1),
        errors=alarms["status"] == "performance",
        explained=alarms["incident"] != "",
    )
    order = {"explained": True, "errors": False, "p": True, "key": True}
    worst = alarms.sort_values(list(order), ascending=list(order.values())).head(DRAWN_GROUPS)
    drawn = []
    for key in worst["key"]:
        group = judged.reference.place[key]
        p_values = np.where(judged.named[group], judged.cells.p_value[group], np.inf)
        for column in np.argsort(p_values, kind="stable")[:DRAWN_COLUMNS].tolist():
            if np.isfinite(p_values[column]):
                drawn.append({"key": key, **_cell(judged, group, column)})
    return drawn


def _cell(judged: JudgedWindow, group: int, column: int) -> dict[str, Any]:
    cells = judged.reference.cells
    kind, place = cells.kinds[column], int(cells.place[column])
    then, now = cells.counts[group, column].astype(np.float64), judged.counts[group, column].astype(np.float64)
    numbers = kind == "number"
    labels = _bin_labels(cells.edges[group, place]) if numbers else _category_labels(cells, group, column, place)
    shares = then / max(1.0, then.sum()), now / max(1.0, now.sum())
    return {
        "column": cells.columns[column],
        "kind": kind,
        "rows": int(now.sum()),
        "p_value": float(judged.cells.p_value[group, column]),
        "edges": cells.edges[group, place].astype(float).tolist() if numbers else [],
        "bins": [
            {"label": label, "reference": float(shares[0][i]), "window": float(shares[1][i])}
            for i, label in enumerate(labels)
            if (numbers and i < BINS) or then[i] or now[i]
        ],
    }


def _bin_labels(edges: AnyArray) -> list[str]:
    texts = [f"{edge:.4g}" for edge in edges.tolist()]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(texts)]
    return [f"below {texts[0]}", *between, f"from {texts[-1]}", "unseen", "missing"]


def _category_labels(cells: DriftReference, group: int, column: int, place: int) -> list[str]:
    texts = cells.vocabulary.get(cells.columns[column]) or {}
    named = [texts.get(code, f"category {i + 1}") for i, code in enumerate(cells.commonest[group, place].tolist())]
    assert (len(named), 9, 10, 11) == (COMMONEST, OTHER, UNSEEN, MISSING)
    return [*named, "others", "never seen in training", "missing"]
