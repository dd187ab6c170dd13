"""`metamodel.monitor`: which groups went wrong in this window, is it one broken feed, and who should be retrained."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Unpack

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.model import MetaModel
from metamodel.bundle.monitored.group_answerers import GroupAnswerers
from metamodel.common.arrays import BoolArray, IntArray
from metamodel.common.messages import count, listing
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.times import microseconds_in
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import LABELLED, ROWS, WindowCounts
from metamodel.evaluation.drift.window_rows import OF_LABELS
from metamodel.flavor.load import load_model
from metamodel.monitoring.drawn_cells import drawn_cells
from metamodel.monitoring.error_history import error_history
from metamodel.monitoring.incidents import find_incidents, incident_table
from metamodel.monitoring.judge_window import JudgedWindow, MonitorRules, judge_window
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.monitoring.monitor_tables import cell_table, column_table, group_table, slice_table
from metamodel.monitoring.monitoring_result import Monitoring
from metamodel.monitoring.record_window import WindowInput, record_window
from metamodel.monitoring.retrain_order import (
    RetrainFacts,
    RetrainRules,
    block,
    drifting_keys,
    retrain_table,
    too_many_groups,
)
from metamodel.monitoring.window_baselines import reference_for, with_baseline
from metamodel.monitoring.window_history import WindowHistory

__all__ = ["monitor"]

# A child that was fitted within so many windows has not had the chance to show what it is worth.
RECENT_WINDOWS: Final = 2

# A child that is fitted just after a break has seen little of what came after: its group is listed for so many windows.
FOLLOWED_WINDOWS: Final = 8


def monitor(  # noqa: PLR0913 - the public call, whose keywords are options
    model: MetaModel | str | Path,
    data: Any,
    labels: Any = None,
    *,
    on: str | Sequence[str] = ("row_id",),
    baseline: Any = "training",
    window: str | None = None,
    fdr: float = 0.05,
    min_effect: float = 0.1,
    min_rows: int = 20,
    output: str | Path | None = None,
    history: str | Path | None = None,
    **rules: Unpack[RetrainRules],
) -> Monitoring:
    """Compare a window of rows with what each group was trained on, and its errors with those it had held out.

    Parameters
    ----------
    model
        A model, a bundle's directory, or an MLflow URI such as ``models:/sales@champion``.
    data
        The window's rows: a table, a path, or the name of a sample. Where they hold `prediction` (a batch's output, a
        prediction log) that is what was answered; else the model is asked. Or counts: a `WindowCounts`, its file, or a
        list of these, which are added up.
    labels
        What came true: a table with the columns `on` and the target. By default the target in `data`. Labels of rows
        of earlier windows go to these, as far as `output` remembers them.
    on
        Columns that name a row.
    baseline
        What to compare with: "training"; "previous", the window before; "last_year", the one 52 weeks before; the name
        of a window that a person approved (`metamodel.acknowledge`); or a table of rows.
    window
        Length of time, such as "1w": the rows are cut into windows, and the last one is judged. None: one window.
    fdr
        Expected share of false ones among the groups that alarm.
    min_effect
        Changes below are of no account: in standard deviations, of categories the share of rows that moved.
    min_rows
        Groups with fewer rows are tested with those of up to 12 windows before, or as a part of their parents alone.
    output
        Folder that remembers windows, and gets the files. Without one nothing is remembered.
    history
        Folder or address of the history that keeps what is said of the groups, where `model` is the URI of a registered
        version; by default METAMODEL_HISTORY, if it is set. See docs/history.md.
    **rules
        `budget` (0.1), `max_share` (0.2), `min_new_rows`, `max_age` (None): see `RetrainRules`.

    Returns
    -------
    Monitoring
        With `.groups`, `.columns`, `.cells`, `.slices`, `.incidents`, `.retrain`, and `.has_incident`.

    Raises
    ------
    InputError
        A model, table, baseline or history is not there; the table has no row; an id stands twice; or no label fits a
        row.
    """
    kept = WindowHistory.of(model, history)
    opened = model if isinstance(model, MetaModel) else load_model(kept.version.uri if kept else model)
    tests = MonitorRules.checked(fdr, min_effect, min_rows)
    microseconds_in(rules.get("max_age"), "max_age")  # before a window is remembered
    with temporary_directory("monitor") as nowhere:
        state = MonitorState(nowhere if output is None else Path(output))
        reference = reference_for(opened, baseline)
        name, notes = record_window(
            opened, reference, state, data, WindowInput(labels, (on,) if isinstance(on, str) else tuple(on), window)
        )
        measure = with_baseline(reference, state, name, baseline)
        result = _judged(opened, measure, state, name, tests, rules)
        facts = {**result.facts, "baseline": baseline if isinstance(baseline, str) else "table", **notes.facts}
        result = replace(result, facts=facts, notes=(*result.notes, *notes.words))
        if output is not None:
            result.write(state.folder(name))
            result.write(state.root)
            _forget_acknowledged(state, name, result)
    if kept is not None:
        kept.keep(name, result.groups)
    return result


def _judged(
    model: MetaModel,
    reference: ModelReference,
    state: MonitorState,
    name: str,
    tests: MonitorRules,
    rules: RetrainRules,
) -> Monitoring:
    window = state.counts(name)
    judged = judge_window(reference, window, state.before(name), tests, _calibration(model, reference))
    incidents, affected = find_incidents(judged, window)
    listed = retrain_table(model, judged, window, _retrain_facts(state, name, reference, window, rules), rules)
    under = np.any([np.zeros(len(reference), dtype=bool), *affected.values()], axis=0)
    explained = {key for key, told in zip(reference.keys, under.tolist(), strict=True) if told}
    rest = listed[~listed["key"].isin(explained)]
    if (too_many := too_many_groups(rest, len(reference), rules)) is not None:
        incidents.append(too_many)
    told = state.acknowledged
    incidents = [replace(incident, acknowledged=incident.id in told) for incident in incidents]
    facts = {
        "window": name,
        "model": model.bundle.digest,
        "rows": int(window.totals[:, ROWS].sum()),
        "labelled": int(window.totals[:, LABELLED].sum()),
        "fdr": tests.fdr,
        "min_effect": tests.min_effect,
        "min_rows": tests.min_rows,
    }
    groups = group_table(judged, window, GroupAnswerers.of(model), affected)
    return Monitoring(
        groups,
        column_table(judged),
        cell_table(judged),
        slice_table(judged),
        incident_table(incidents),
        block(listed, judged, incidents, affected, _recent(state, name, reference)),
        {**facts, "drifting": sorted(drifting_keys(model, judged)), "alarmed": _alarmed(judged, affected.values())},
        _notes(model, judged, window, groups),
        drawn_cells(judged, groups),
        error_history(state, name, reference),
    )


def _alarmed(judged: JudgedWindow, under_incidents: Iterable[BoolArray]) -> list[str]:
    """Name the groups whose performance alarms, each for itself."""
    alarms = judged.performance_alarm
    for groups in under_incidents:
        alarms = alarms & ~groups
    return [judged.reference.keys[group] for group in np.flatnonzero(alarms)]


def _notes(model: MetaModel, judged: JudgedWindow, window: WindowCounts, groups: pd.DataFrame) -> tuple[str, ...]:
    """Say what could not be looked at, and of whom others' answers were."""
    notes = []
    of_others = groups.iloc[: len(judged.reference)]["answered_by"].value_counts().drop("child", errors="ignore")
    unanswered = int(of_others.get("nobody", 0))
    of_others = of_others.drop("nobody", errors="ignore")
    if len(of_others):
        words = listing(f"{number:,} by {who}" for who, number in of_others.items())
        of_whom = "judged by their own rows and the errors of who answers them"
        notes.append(f"{count(int(of_others.sum()), 'group')} without a child of their own, {of_whom}: {words}")
    if unanswered:  # of a baseline that was not the training: a table of good rows has groups that were not fitted
        notes.append(f"{count(unanswered, 'group')} that the model does not answer, judged by their own rows alone")
    if judged.left_out:
        notes.append(f"left out, because they are functions of time alone: {listing(judged.left_out)}")
    if model.manifest.options.get("time_column") and window.of_times is None:
        notes.append(
            "which columns are functions of time alone is known of the training alone: this window has too many times "
            "to ask its rows, or counts without times"
        )
    predicted = PREDICTION in window.columns and window.counts[:, window.columns.index(PREDICTION)].any()
    if window.absent and not predicted:
        names = listing(map(repr, window.absent))
        notes.append(f"nothing could be predicted without {names}, so that no prediction and no error was judged")
    elif not window.totals[:, LABELLED].any():
        notes.append("no row of this window has a label yet; errors are those of earlier windows, if any")
    if not window.counts[:, [name not in (PREDICTION, *OF_LABELS) for name in window.columns]].any():
        notes.append("no feature is in the table, so that predictions and errors alone were judged")
    few = int((judged.totals[:, ROWS] > 0).sum() - (~np.isnan(judged.p_drift)).sum())
    if few > 0:
        notes.append(f"{count(few, 'group')} with few rows, seen through their parents alone")
    return tuple(notes)


def _calibration(model: MetaModel, reference: ModelReference) -> tuple[IntArray, float] | None:
    """Of each group the number of residuals that set its interval, and the share that intervals are to cover."""
    level = model.manifest.options.get("interval")
    if not level or not model.route.intervals:
        return None
    ledger = model.bundle.read_ledger([*model.manifest.keys.names, "level", "interval_rows"])
    rows = dict(zip(encoded_keys_of(ledger, model.manifest.keys), ledger["interval_rows"], strict=True))
    numbers = [rows.get(key, 0) for key in reference.keys]
    return np.array([0 if pd.isna(number) else int(number) for number in numbers], dtype=np.int64), float(level)


def _retrain_facts(
    state: MonitorState, name: str, reference: ModelReference, window: WindowCounts, rules: RetrainRules
) -> RetrainFacts:
    names = state.names_before(name)
    rows = window.aligned(reference)[1][:, ROWS]
    for earlier in names if rules.get("min_new_rows") is not None else ():
        rows = rows + state.counts(earlier).aligned(reference)[1][:, ROWS]
    drifted = [set(state.summary(earlier).get("drifting", ())) for earlier in names[:2]]
    alarmed = {key for earlier in names[:FOLLOWED_WINDOWS] for key in state.summary(earlier).get("alarmed", ())}
    return RetrainFacts(name, state.table(names[0], "retrain") if names else None, drifted, alarmed, rows)


def _recent(state: MonitorState, name: str, reference: ModelReference) -> BoolArray:
    """Say which groups had another child, with other bins, less than two windows ago, shape (n_groups,)."""
    recent = np.zeros(len(reference), dtype=bool)
    for earlier in state.names_before(name)[:RECENT_WINDOWS]:
        counts = state.counts(earlier)
        place = counts.places.get_indexer(reference.places)
        there = place >= 0
        recent[there] |= (counts.bins[place[there]] != reference.digests[there]) & (counts.bins[place[there]] != 0)
    return recent


def _forget_acknowledged(state: MonitorState, name: str, result: Monitoring) -> None:
    """Forget who acknowledged incidents that are over: they are told again when they come back."""
    if state.windows[-1] != state.folder(name).name:
        return
    present = set(result.incidents["id"])
    told = state.acknowledged
    if gone := [one for one in told if one not in present]:
        state.keep_acknowledged({one: entry for one, entry in told.items() if one not in gone})
