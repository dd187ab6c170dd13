"""Who should be retrained, in which order, and who must wait for a person.

Listed is not replaced: an update fits the listed groups, its contest lets no worse child through, and gates and people
promote. So people get the strict list of alarms, and the trainer a ranked one within a budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray, BoolArray
from metamodel.common.messages import count
from metamodel.common.times import microseconds_in
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.window_counts import ROWS, WindowCounts
from metamodel.monitoring.child_ages import child_ages
from metamodel.monitoring.incidents import WORLD, Incident
from metamodel.monitoring.judge_window import JudgedWindow
from metamodel.tables.keys import decode_keys

__all__ = ["RetrainFacts", "RetrainRules", "block", "drifting_keys", "retrain_table", "too_many_groups"]

_DAY = 86_400_000_000  # in microseconds

_COLUMNS = [
    "key",
    "level",
    "reasons",
    "priority",
    "evidence",
    "first_flagged",
    "windows_flagged",
    "blocked",
    "blocked_by",
]


class RetrainRules(TypedDict, total=False):
    """How many groups may be listed.

    Attributes
    ----------
    budget
        Share of the groups that may be listed as the most suspicious by their errors (0.1).
    max_share
        Where more of the groups are listed, new ones aside, all are blocked: something is wrong beside them (0.2).
    min_new_rows
        Rows since the child was trained, as a share of those it was trained on, from which on it is listed for their
        number; None (the default) for never.
    max_age
        Age beyond which a child is listed, such as "8w"; None (the default) for never.
    """

    budget: float
    max_share: float
    min_new_rows: float | None
    max_age: Any


@dataclass(frozen=True)
class RetrainFacts:
    """What is known beside the window itself.

    Attributes
    ----------
    window
        Its name.
    retrain_before
        The list of the window before; None without one.
    drifted_before
        Of the two windows before: encoded keys of the groups in which an important column, or the prediction, changed.
    alarmed_before
        Encoded keys of the groups whose performance alarmed in one of the windows before.
    rows_since
        Rows of each group since its child was trained, shape (n_groups,).
    """

    window: str
    retrain_before: pd.DataFrame | None
    drifted_before: Sequence[set[str]]
    alarmed_before: set[str]
    rows_since: AnyArray


def retrain_table(
    model: MetaModel, judged: JudgedWindow, window: WindowCounts, facts: RetrainFacts, rules: RetrainRules
) -> pd.DataFrame:
    """Rank the groups to retrain, whatever may block them.

    Returns
    -------
    DataFrame
        `key` (encoded), `level`, `reasons` (joined by "; "), `priority` (1: performance, failed, new; 2: the most
        suspicious by performance, and follow-ups of alarms; 3: drift in two of three windows; 4: rows; 5: age),
        `evidence` (of performance the p-value; of rows their share, of age days, both negative), `first_flagged` and
        `windows_flagged`; the most urgent first.
    """
    entries: dict[str, tuple[int, float, list[str]]] = {}
    for priority, reason, keys, evidence in _reasons(model, judged, window, facts, rules):
        for key, value in zip(keys, evidence, strict=True):
            entries.setdefault(key, (priority, float(value), []))[2].append(reason)
    if not entries:
        return pd.DataFrame(columns=_COLUMNS[:-2]).astype({"priority": "int64", "evidence": "float64"})
    table = pd.DataFrame(
        [(key, "; ".join(why), priority, value) for key, (priority, value, why) in entries.items()],
        columns=["key", "reasons", "priority", "evidence"],
    )
    table["level"] = [len(key) for key in decode_keys(table["key"].tolist())]
    table = table.sort_values(["priority", "evidence", "key"], kind="stable").reset_index(drop=True)
    _flag(table, facts)
    return table[_COLUMNS[:-2]]


def _reasons(
    model: MetaModel, judged: JudgedWindow, window: WindowCounts, facts: RetrainFacts, rules: RetrainRules
) -> list[tuple[int, str, Sequence[str], AnyArray]]:
    keys: Any = np.array(judged.reference.keys, dtype=object)
    p_values = np.nan_to_num(judged.p_performance, nan=1.0)
    alarms = np.flatnonzero(judged.performance_alarm)
    failed, new = _without_child(model, window)
    budget = int(rules.get("budget", 0.1) * len(keys))
    suspects = np.argsort(p_values, kind="stable")[:budget]
    suspects = suspects[p_values[suspects] < 0.5]
    drifted = _drifted(model, judged, facts)
    again = np.flatnonzero(
        np.array([key in facts.alarmed_before for key in keys], dtype=bool) & ~judged.performance_alarm
    )
    reasons = [
        (1, "performance", keys[alarms], p_values[alarms]),
        (1, "failed", failed, np.zeros(len(failed))),
        (1, "new", new, np.zeros(len(new))),
        (2, "suspicious", keys[suspects], p_values[suspects]),
        (2, "follow-up", keys[again], p_values[again]),
        (3, "drift", keys[drifted], np.nan_to_num(judged.p_drift, nan=1.0)[drifted]),
    ]
    least = rules.get("min_new_rows")
    if least is not None:
        trained = np.maximum(judged.reference.cells.counts[:, 0].sum(axis=-1), 1)
        share = facts.rows_since / trained
        more = np.flatnonzero(share >= least)
        reasons.append((4, "rows", keys[more], -share[more]))
    oldest = microseconds_in(rules.get("max_age"), "max_age")
    if oldest is not None:
        ages = child_ages(model, judged.reference.keys, facts.window)
        old = np.flatnonzero((ages > oldest) & (judged.totals[:, ROWS] > 0))
        reasons.append((5, "age", keys[old], -ages[old] / _DAY))
    return reasons


def _without_child(model: MetaModel, window: WindowCounts) -> tuple[list[str], list[str]]:
    """Find the groups of the window without a child: those that failed in training, those that it did not see."""
    manifest = model.manifest
    ledger = model.bundle.read_ledger([*manifest.keys.names, "level", "status"])
    keys = encoded_keys_of(ledger, manifest.keys)
    status = dict(zip(keys, ledger["status"].tolist(), strict=True))
    rows = window.totals[:, ROWS]
    there = [key for key, number in zip(window.keys, rows.tolist(), strict=True) if number]
    return [key for key in there if status.get(key) == "failed"], [key for key in there if key not in status]


def _drifted(model: MetaModel, judged: JudgedWindow, facts: RetrainFacts) -> AnyArray:
    """Find the groups in which an important column, or the prediction, changed in two of three windows."""
    important = drifting_keys(model, judged)
    keys = judged.reference.keys
    times = np.array([sum(key in before for before in (important, *facts.drifted_before[:2])) for key in keys])
    return np.flatnonzero((times >= 2) & np.array([key in important for key in keys], dtype=bool))


def drifting_keys(model: MetaModel, judged: JudgedWindow) -> set[str]:
    """Name the groups in which an important column, or the prediction, changed in this window."""
    columns = judged.reference.cells.columns
    important = _important(model, columns)
    chosen = [i for i, name in enumerate(columns) if name in important]
    groups = np.flatnonzero(judged.named[:, chosen].any(axis=1))
    return {judged.reference.keys[i] for i in groups}


def _important(model: MetaModel, columns: Sequence[str]) -> set[str]:
    """Columns that matter more than the average one does, by the children's importances; all where there are none."""
    features = model.manifest.features.names
    table = model.bundle.read_table("importance.parquet", ["feature", "share"])
    if table is None or not len(table):
        return {*features, PREDICTION} & set(columns)
    share = table.groupby("feature", observed=True)["share"].sum()
    names = share.index[share >= share.sum() / len(features)].tolist()
    return {*names, PREDICTION} & set(columns)


def _flag(table: pd.DataFrame, facts: RetrainFacts) -> None:
    """Say since when, and in how many windows, each group has been listed."""
    first: dict[str, Any] = {}
    number: dict[str, int] = {}
    if facts.retrain_before is not None:
        before = facts.retrain_before
        first = dict(zip(before["key"], before["first_flagged"], strict=True))
        number = dict(zip(before["key"], before["windows_flagged"].tolist(), strict=True))
    table["first_flagged"] = [first.get(key, facts.window) for key in table["key"]]
    table["windows_flagged"] = [number.get(key, 0) + 1 for key in table["key"]]


def too_many_groups(listed: pd.DataFrame, groups: int, rules: RetrainRules) -> Incident | None:
    """Make an incident of a list, without what others explain, that is longer than groups change by themselves."""
    without_child = listed["reasons"].isin(["new", "failed"])
    number = int((~without_child).sum())
    share = number / max(groups, 1)
    if share <= rules.get("max_share", 0.2):
        return None
    words = f"{count(number, 'group')} of {groups:,} are listed. So many do not change each for itself."
    return Incident("too many", WORLD, "", "retrain list", number, share, share, words, True).named()


def block(
    listed: pd.DataFrame,
    judged: JudgedWindow,
    incidents: Sequence[Incident],
    affected: Mapping[str, BoolArray],
    recent: BoolArray,
) -> pd.DataFrame:
    """Say of each listed group what blocks it: ids of incidents, or that it was retrained a moment ago.

    A group without a reference is blocked by what concerns everybody.
    """
    blocking = [incident for incident in incidents if incident.blocks and not incident.acknowledged]
    place = judged.reference.place
    blocked_by = []
    for key in listed["key"]:
        position = place.get(key)
        masks = [(incident.id, affected.get(incident.id)) for incident in blocking]
        reasons = [
            name for name, groups in masks if groups is None or (groups.all() if position is None else groups[position])
        ]
        if position is not None and recent[position]:
            reasons.append("retrained less than 2 windows ago")
        blocked_by.append("; ".join(reasons))
    table = listed.assign(blocked_by=blocked_by)
    return table.assign(blocked=table["blocked_by"] != "")[_COLUMNS]
