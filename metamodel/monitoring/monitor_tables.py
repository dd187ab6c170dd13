"""The findings of a window as tables."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from metamodel.bundle.monitored.group_answerers import GroupAnswerers
from metamodel.common.arrays import AnyArray, BoolArray
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR
from metamodel.evaluation.drift.effects import shown_distances
from metamodel.evaluation.drift.window_counts import INTERVALS, LABELLED, OUTSIDE, ROWS, WindowCounts
from metamodel.monitoring.incidents import cell_change
from metamodel.monitoring.judge_window import JudgedWindow
from metamodel.tables.keys import decode_keys

__all__ = ["cell_table", "column_table", "group_table", "slice_table"]


_COVERAGE: Final = "(coverage)"


def group_table(
    judged: JudgedWindow, window: WindowCounts, answerers: GroupAnswerers, affected: Mapping[str, BoolArray]
) -> pd.DataFrame:
    """One row for every group of the model, and for each one that the window has beside.

    `key` (encoded), `level`, `status` ("performance" and "drift" where it alarms, "ok", "few rows", "no rows", "no
    reference"), `answered_by` ("child", "parent:<level>", "global", "pooled", "nobody"), `rows`, `labelled`,
    `labelled_share`, `p_drift`, `p_performance`, `error_effect` (how far the absolute error grew or shrank, in standard
    deviations), `coverage` (share of the labelled rows inside their interval), `columns` (those that changed, joined by
    "; "; "(coverage)" stands among them where intervals cover too little), `incident` (the first one of `affected`, by
    `find_incidents`, that it is under).
    """
    reference = judged.reference
    strangers = [i for i, key in enumerate(window.keys) if key not in reference.place]
    absent = [key for key in answerers.known if key not in reference.place and key not in window.places]
    no_rows = np.zeros((len(absent), judged.totals.shape[1]), dtype=np.int64)
    totals = np.concatenate([judged.totals, window.totals[strangers], no_rows])
    keys = [*reference.keys, *(window.keys[i] for i in strangers), *absent]
    more = len(keys) - len(reference)
    names = np.array(reference.cells.columns, dtype=object)
    covered_less = [[_COVERAGE] if alarm else [] for alarm in judged.coverage_alarm.tolist()]
    changed = ["; ".join([*names[row], *beside]) for row, beside in zip(judged.named, covered_less, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        labelled_share = totals[:, LABELLED] / totals[:, ROWS]
        coverage = 1 - totals[:, OUTSIDE] / totals[:, INTERVALS]
    return pd.DataFrame(
        {
            "key": keys,
            "level": [len(key) for key in decode_keys(keys)],
            "status": [*_status(judged), *["no reference"] * len(strangers), *["no rows"] * len(absent)],
            "answered_by": answerers.of_groups(keys),
            "rows": totals[:, ROWS],
            "labelled": totals[:, LABELLED],
            "labelled_share": labelled_share,
            "p_drift": _padded(judged.p_drift, more),
            "p_performance": _padded(judged.p_performance, more),
            "error_effect": _padded(_effect(judged, ABSOLUTE_ERROR), more),
            "coverage": coverage,
            "columns": [*changed, *[""] * more],
            "incident": [*_first_incident(affected, len(reference)), *[""] * more],
        }
    )


def _first_incident(affected: Mapping[str, BoolArray], n_groups: int) -> list[str]:
    first = np.full(n_groups, "", dtype=object)
    for name, groups in reversed([*affected.items()]):
        first[groups] = name
    return list(first)


def _padded(values: AnyArray, more: int) -> AnyArray:
    return np.concatenate([values, np.full(more, np.nan)])


def _effect(judged: JudgedWindow, column: str) -> AnyArray:
    columns = judged.reference.cells.columns
    if column not in columns:
        return np.full(len(judged.reference), np.nan)
    place = columns.index(column)
    tested = ~np.isnan(judged.cells.p_value[:, place])
    return np.where(tested, judged.cells.effect[:, place], np.nan)


def _status(judged: JudgedWindow) -> list[str]:
    tested = ~(np.isnan(judged.p_drift) & np.isnan(judged.p_performance))
    status = np.where(tested, "ok", np.where(judged.totals[:, ROWS] > 0, "few rows", "no rows")).astype(object)
    status[judged.drift_alarm] = "drift"
    status[judged.performance_alarm] = "performance"
    return list(status)


def cell_table(judged: JudgedWindow) -> pd.DataFrame:
    """One row for every column that changed in a group.

    `key`, `column`, `what` ("distribution", "missing values", "unseen categories"), `rows` (with those of earlier
    windows, where the group has few), `p_value`, `effect`, and what decides nothing: `psi_excess`, `ks`, `js`.
    """
    groups, columns = np.nonzero(judged.named)
    cells = judged.cells
    changes = [cell_change(cells, *place) for place in zip(groups.tolist(), columns.tolist(), strict=True)]
    of_reference = judged.reference.cells.counts[groups, columns]
    return pd.DataFrame(
        {
            "key": [judged.reference.keys[group] for group in groups],
            "column": [judged.reference.cells.columns[column] for column in columns],
            "what": [what for what, _ in changes],
            "rows": cells.rows[groups, columns].astype(np.int64),
            "p_value": cells.p_value[groups, columns],
            "effect": [effect for _, effect in changes],
            **shown_distances(of_reference, judged.counts[groups, columns]),
        }
    )


def column_table(judged: JudgedWindow) -> pd.DataFrame:
    """One row for every column: how many groups were tested and changed, and what all groups together say.

    `column`, `kind`, `rows`, `tested`, `changed`, `share`, `p_value` and `effect` of the world, `left_out` (it is a
    function of time alone).
    """
    reference = judged.reference.cells
    tested = (~np.isnan(judged.cells.p_value)).sum(axis=0)
    changed = judged.named.sum(axis=0)
    world = judged.levels[0].cells if judged.levels else None
    nothing = np.full(len(reference.columns), np.nan)
    return pd.DataFrame(
        {
            "column": list(reference.columns),
            "kind": list(reference.kinds),
            "rows": judged.cells.rows.sum(axis=0).astype(np.int64),
            "tested": tested,
            "changed": changed,
            "share": changed / np.maximum(tested, 1),
            "p_value": nothing if world is None or not len(world.p_value) else world.p_value[0],
            "effect": nothing if world is None or not len(world.effect) else world.effect[0].astype(np.float64),
            "left_out": [name in judged.left_out for name in reference.columns],
        }
    )


def slice_table(judged: JudgedWindow) -> pd.DataFrame:
    """One row for every parent and column: `level`, `key`, `column`, `rows`, `p_value`, `effect`, `groups`, `changed`.

    `effect` is the mean of its groups' moves; `changed` says whether the parent changed without what its groups say
    themselves.
    """
    columns = judged.reference.cells.columns
    parts = []
    for depth, level in enumerate(judged.levels):
        number = len(level.keys)
        groups = np.bincount(level.parent_of, minlength=number)
        parts.append(
            pd.DataFrame(
                {
                    "level": depth,
                    "key": np.repeat(np.array(level.keys, dtype=object), len(columns)),
                    "column": list(columns) * number,
                    "rows": level.cells.rows.reshape(-1).astype(np.int64),
                    "groups": np.repeat(groups, len(columns)),
                    "p_value": level.cells.p_value.reshape(-1),
                    "effect": level.cells.effect.reshape(-1).astype(np.float64),
                    "changed": level.named.reshape(-1),
                }
            )
        )
    names = ["level", "key", "column", "rows", "groups", "p_value", "effect", "changed"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
