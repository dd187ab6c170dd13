"""What a person should look at: one broken feed is one incident, however many groups it changed."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import BoolArray, IntArray
from metamodel.common.messages import count
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION
from metamodel.evaluation.drift.judge_cells import DISTRIBUTION, MISSING_VALUES, UNSEEN_CATEGORIES, JudgedCells
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.monitoring.judge_window import PERFORMANCE, JudgedLevel, JudgedWindow
from metamodel.tables.keys import encode_key

__all__ = ["WORLD", "Incident", "cell_change", "find_incidents", "incident_table"]

# The encoded key of the world: of all groups together.
WORLD: Final = encode_key(())

# A column that changed in this share of the groups, and in three of them, changed for one reason.
_SHARE: Final = 0.2

_FEWEST: Final = 3

_NEARLY_ALL: Final = 0.9

# Columns that change because others do.
_CONSEQUENCES: Final = (PREDICTION, ERROR, ABSOLUTE_ERROR)

_WITH_IT: Final = "Predictions, or their errors, changed with it."

_WHAT = {DISTRIBUTION: "distribution", UNSEEN_CATEGORIES: "unseen categories", MISSING_VALUES: "missing values"}


@dataclass(frozen=True)
class Incident:
    """One incident.

    Attributes
    ----------
    kind
        "systemic" (a column changed for everybody under `key`), "data quality" (values are missing, unseen or of
        another kind), "performance" and "drift" (groups changed, each for itself).
    key
        Encoded key of the parent that shows it; the world's where there is no narrower one.
    column, what
        What changed; "" where groups changed in different columns.
    groups, share
        Groups that alarm for it, and their share of those tested.
    effect
        How far, see `JudgedCells`.
    words
        For people.
    blocks
        Whether the groups under it must not be retrained before somebody acknowledged it.
    id
        The same in every window.
    acknowledged
        Whether somebody did.
    """

    kind: str
    key: str
    column: str
    what: str
    groups: int
    share: float
    effect: float
    words: str
    blocks: bool
    id: str = ""
    acknowledged: bool = False

    def named(self) -> "Incident":
        """Give it its id."""
        text = "\x1f".join((self.kind, self.key, self.column, self.what))
        return replace(self, id=hashlib.sha256(text.encode()).hexdigest()[:12])


def incident_table(incidents: list[Incident]) -> pd.DataFrame:
    """Make a table of incidents, those that block first."""
    names = list(Incident.__dataclass_fields__)
    table = pd.DataFrame(
        [asdict(incident) for incident in incidents], columns=["id", *(name for name in names if name != "id")]
    )
    return table.astype(
        {"groups": "int64", "share": "float64", "effect": "float64", "blocks": bool, "acknowledged": bool}
    )


def find_incidents(judged: JudgedWindow, window: WindowCounts) -> tuple[list[Incident], dict[str, BoolArray]]:
    """Find the incidents of a window.

    Returns
    -------
    incidents : list of Incident
    affected : dict
        Of each incident that blocks, by id: the groups under it, shape (n_groups,).
    """
    explained = np.zeros(judged.named.shape, dtype=bool)
    pairs = [*_absent(judged, window), *_systemic(judged, explained), *_data_quality(judged, explained)]
    incidents = [incident.named() for incident, _ in pairs]
    affected = {incident.id: groups for incident, (_, groups) in zip(incidents, pairs, strict=True) if incident.blocks}
    return incidents + [incident.named() for incident in _changed_groups(judged, explained)], affected


def _absent(judged: JudgedWindow, window: WindowCounts) -> Iterator[tuple[Incident, BoolArray]]:
    """Columns that the table lacks, and values that could not be read."""
    everybody = np.ones(len(judged.reference), dtype=bool)
    number = len(judged.reference)
    for name in window.absent:
        words = f"The column {name!r} is not in the table."
        yield Incident("data quality", WORLD, name, "column missing", number, 1.0, 1.0, words, True), everybody
    rows = max(1, int(window.totals[:, 0].sum()))
    for name, values in window.unreadable.items():
        words = f"{count(values, 'value')} of {name!r} cannot be read as what the column held in training."
        share = values / rows
        yield Incident("data quality", WORLD, name, "kind", number, 1.0, share, words, share >= 0.01), everybody


def _systemic(judged: JudgedWindow, explained: BoolArray) -> list[tuple[Incident, BoolArray]]:
    """Find the columns that changed under a parent as a whole, each told once, at the highest level.

    Where a feature did, predictions and errors that changed with it are no incidents of their own.
    """
    names = judged.reference.cells.columns
    consequences = np.array([name in _CONSEQUENCES for name in names], dtype=bool)
    causes = []
    for incident, members in _under_parents(judged, explained, ~consequences):
        there = judged.named[members][:, consequences].mean(axis=0) >= _SHARE
        words = f"{incident.words} {_WITH_IT}" if there.any() else incident.words
        causes.append((replace(incident, words=words), members))
    for _, members in causes:  # what is left over of the others is told: one shop more does not make it everywhere
        explained[np.ix_(members, consequences)] = True
    return causes + list(_under_parents(judged, explained, consequences))


def _under_parents(
    judged: JudgedWindow, explained: BoolArray, chosen: BoolArray
) -> Iterator[tuple[Incident, BoolArray]]:
    tested = ~np.isnan(judged.cells.p_value)
    for depth, level in enumerate(judged.levels):
        named_below, tested_below = (_per_parent(level, marks) for marks in (judged.named & ~explained, tested))
        many = (named_below >= _FEWEST) & (named_below >= _SHARE * tested_below)
        many &= ~_narrower(judged, explained, depth, named_below)
        for parent, column in np.argwhere((many | level.named) & chosen).tolist():
            members = level.parent_of == parent
            if explained[members, column].all():  # told of a parent above
                continue
            groups = int(named_below[parent, column])
            explained[members, column] = True
            yield _systemic_incident(judged, level, (parent, column), groups, members), members


def _narrower(judged: JudgedWindow, explained: BoolArray, depth: int, named_below: IntArray) -> BoolArray:
    """Say where nearly all alarms for a column lie under one of the parents below: then it is told of that one."""
    if depth + 1 >= len(judged.levels):
        return np.zeros(named_below.shape, dtype=bool)
    level, below = judged.levels[depth], judged.levels[depth + 1]
    of_below = _per_parent(below, judged.named & ~explained)
    above = np.zeros(len(below.keys), dtype=np.int64)
    above[below.parent_of] = level.parent_of
    most = np.zeros(named_below.shape, dtype=np.int64)
    np.maximum.at(most, above, of_below)
    several = np.bincount(above, minlength=len(level.keys)) > 1
    return (most >= _NEARLY_ALL * named_below) & several[:, None]


def _per_parent(level: JudgedLevel, marks: BoolArray) -> IntArray:
    counts = np.zeros((len(level.keys), marks.shape[1]), dtype=np.int64)
    np.add.at(counts, level.parent_of, marks)
    return counts


def _systemic_incident(
    judged: JudgedWindow, level: JudgedLevel, place: tuple[int, int], groups: int, members: BoolArray
) -> Incident:
    parent, column = place
    name = judged.reference.cells.columns[column]
    tested = int((~np.isnan(judged.cells.p_value[members, column])).sum())
    what, effect = cell_change(level.cells, parent, column)
    key = level.keys[parent]
    where = "everywhere" if key == WORLD else f"in {key}"
    together = "in all rows together" + (f", in none of {count(tested, 'group')} by itself" if tested else "")
    alarms = f"{groups} of {count(tested, 'group')} alarm for themselves" if groups else together
    words = f"{name!r} changed {where} ({what}): {alarms}."
    kind = "data quality" if what != _WHAT[DISTRIBUTION] else "systemic"
    return Incident(kind, key, name, what, groups, groups / max(tested, 1), effect, words, True)


def cell_change(cells: JudgedCells, row: int, column: int) -> tuple[str, float]:
    """Say what changed in a cell, and how far."""
    p_values = np.nan_to_num(cells.parts[row, column], nan=2.0)
    effects = np.array([cells.effect[row, column] >= 0.1, *(cells.rises[row, column] >= 0.05)])
    part = int(np.where(effects, p_values, p_values + 2).argmin())
    effect = cells.effect[row, column] if part == DISTRIBUTION else cells.rises[row, column, part - 1]
    return _WHAT[part], float(effect)


def _data_quality(judged: JudgedWindow, explained: BoolArray) -> Iterator[tuple[Incident, BoolArray]]:
    """Values that are missing, or that nobody saw, in single groups: one incident a column."""
    consequences = np.array([name in _CONSEQUENCES for name in judged.reference.cells.columns], dtype=bool)
    of_feature = np.asarray(judged.named[:, ~consequences].any(axis=1))  # no feature, no prediction
    parts = np.where(np.isnan(judged.cells.parts), 2.0, judged.cells.parts)
    kind = parts.argmin(axis=-1)
    for part in (UNSEEN_CATEGORIES, MISSING_VALUES):
        rises = judged.cells.rises[..., part - 1]
        cells = judged.named & ~explained & (kind == part) & (rises >= 0.05)
        cells &= ~(of_feature[:, None] & consequences)
        for column in np.flatnonzero(cells.any(axis=0)):
            members = cells[:, column]
            name, number = judged.reference.cells.columns[column], int(members.sum())
            tested = int((~np.isnan(judged.cells.p_value[:, column])).sum())
            rise = float(rises[members, column].max())
            words = f"{_WHAT[part].capitalize()} in {name!r} of {count(number, 'group')}, up to +{rise:.0%}."
            yield (
                Incident("data quality", WORLD, name, _WHAT[part], number, number / tested, rise, words, True),
                members,
            )


def _changed_groups(judged: JudgedWindow, explained: BoolArray) -> Iterator[Incident]:
    """Tell of groups that changed, each for itself: one line for their errors and one for their rows."""
    performance = np.array([name in PERFORMANCE for name in judged.reference.cells.columns], dtype=bool)
    own = judged.named & ~explained
    errors = own[:, performance].any(axis=1)
    errors |= judged.coverage_alarm & ~explained[:, performance].any(axis=1)
    rows = own[:, ~performance].any(axis=1)
    for kind, alarms, p_values, words in (
        ("performance", errors, judged.p_performance, "Predictions are worse, or lean to one side, in {}."),
        ("drift", rows, judged.p_drift, "Rows changed in {}, each for itself."),
    ):
        number, tested = int(alarms.sum()), int((~np.isnan(p_values)).sum())
        if number:
            share = number / max(tested, 1)
            yield Incident(kind, WORLD, "", "", number, share, share, words.format(count(number, "group")), False)
