"""Count what came in, and remember it: rows, or counts of rows; labels of these and of earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count, listing
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.monitoring.control_rows import compare_arms, feedback_words, sum_arms
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.gathered_windows import GatheredWindows
from metamodel.monitoring.judge_window import MOST_WINDOWS
from metamodel.monitoring.late_labels import Labels, WindowLabels, late_labels
from metamodel.monitoring.logged_features import logged_features
from metamodel.monitoring.logged_rows import read_rows
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.monitoring.spark import count_on_spark, is_spark_table
from metamodel.monitoring.window_names import WindowNaming, windows_of
from metamodel.prediction_log.count_files import is_count_file, read_counts
from metamodel.prediction_log.label_rows import LabelSource
from metamodel.prediction_log.log_reader import is_log

__all__ = ["WindowInput", "WindowNotes", "record_window"]


@dataclass(frozen=True)
class WindowInput:
    """What belongs to the rows of a window.

    Attributes
    ----------
    labels
        Table of labels, or None.
    on
        Columns that name a row.
    window
        Length of a window, or None.
    """

    labels: Any
    on: tuple[str, ...]
    window: str | None


@dataclass(frozen=True)
class WindowNotes:
    """What was noticed on the way: sentences, and figures for the file."""

    words: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def record_window(
    model: MetaModel, reference: ModelReference, state: MonitorState, data: Any, given: WindowInput
) -> tuple[str, WindowNotes]:
    """Count all windows of some data, and keep the counts.

    Returns
    -------
    window, notes
        The name of the last window, and what was noticed.

    Raises
    ------
    InputError
        There is no row, or labels cannot be joined.
    """
    counted = _counted(model, reference, data, given)
    if counted is not None:
        for counts in counted:
            state.keep_counts(counts.window or "counts", counts)
        return counted[-1].window or "counts", WindowNotes(facts={"source": "counts"})
    with GatheredWindows(state, model, given.on) as gathered:
        rows = _CountedParts(model, reference, given, gathered, is_of_log=_is_log(data))
        parts, source = read_rows(model, data, given.on)
        for frame in parts:
            if len(frame):
                rows.take(frame)
        name, windows = rows.finish(state, data)
    notes = _with_late_labels(model, reference, state, (name, windows), rows.labels)
    control = _control(state, name)
    words = [*notes.words, *feedback_words(control, gathered.decided, gathered.labelled), *rows.words]
    facts = {"source": source, **notes.facts} | ({"control": control} if control else {})
    return name, WindowNotes(tuple(words), facts)


class _CountedParts:
    """Counts the rows of a table part by part, with the labels that are known of them."""

    def __init__(
        self,
        model: MetaModel,
        reference: ModelReference,
        given: WindowInput,
        gathered: GatheredWindows,
        *,
        is_of_log: bool,
    ) -> None:
        self._model = model
        self._reference = reference
        self._given = given
        self._gathered = gathered
        self._is_of_log = is_of_log
        self._unlogged: dict[str, None] = {}
        self._naming = WindowNaming(model.manifest.options.get("time_column"))
        self._joined: WindowLabels | None = None
        self.columns: pd.DataFrame | None = None
        self.labels: Labels | None = None

    def take(self, frame: pd.DataFrame) -> None:
        """Count some rows, at least one."""
        if self.columns is None:
            self.columns = frame.iloc[:0]
            self.labels = _labels(self._model, frame, self._given)
            self._joined = None if self.labels is None else self.labels.of_window()
        if self._given.window is None:
            self._naming.see(frame)
            windows = [("", np.ones(len(frame), dtype=bool))]
        else:
            time_column = self._model.manifest.options.get("time_column")
            windows = windows_of(frame, time_column, self._given.window, [])
        for part in count_table(self._model, self._reference, frame, self._known(frame), windows):
            if self._is_of_log:  # what was left out on purpose is no fault of the data
                self._unlogged |= dict.fromkeys(part.counts.absent)
                part = replace(part, counts=replace(part.counts, absent=()))
            self._gathered.add(part.counts.window, part)

    @property
    def words(self) -> list[str]:
        """What there is to be said of the columns."""
        names = listing(self._unlogged)
        return [f"the log was told to leave out {names} (--log-drop): nothing is said of it"] if names else []

    def _known(self, frame: pd.DataFrame) -> pd.Series | None:
        """Give the rows their labels: those that were given, else those in the table."""
        at_hand = frame.get(self._model.manifest.target.name, None)
        if self._joined is None or self.labels is None or not set(self.labels.on) <= set(frame):
            return at_hand
        values = self._joined.joined(frame)
        return values if at_hand is None else values.where(values.notna(), at_hand)

    def finish(self, state: MonitorState, data: Any) -> tuple[str, list[str]]:
        """Put the windows where they belong; returns the name of the last one, and those of all."""
        if self.columns is None:
            raise InputError("The table has no row, so that there is no window. Give the rows of one.")
        if self._given.window is None:
            name = self._naming.name(state.windows)
            windows = [name]
        else:
            windows = self._gathered.names
            if not windows:
                raise InputError("No row of the table has a time, so there is no window. Give the rows their times.")
            name = windows[-1]
        elsewhere = logged_features(self._model, self._reference, data, self.columns, self._given.window)
        self._gathered.finish(name, elsewhere)
        return name, windows


def _is_log(data: Any) -> bool:
    return isinstance(data, str | Path) and is_log(data)


def _labels(model: MetaModel, frame: pd.DataFrame, given: WindowInput) -> Labels | None:
    """Read the labels that were given, whatever rows they are of."""
    if given.labels is None:
        return None
    source = LabelSource(given.labels, given.on)
    return Labels(source, _columns_of_id(model, frame, source.columns, given.on), model.manifest.target.name)


def _columns_of_id(model: MetaModel, frame: pd.DataFrame, of_labels: pd.Index, on: Sequence[str]) -> tuple[str, ...]:
    """Columns that name a row in both tables: those given, else the group and the time."""
    if set(on) <= set(of_labels):
        return tuple(on)
    time = model.manifest.options.get("time_column")
    instead = (*model.manifest.keys.names, *((time,) if isinstance(time, str) else ()))
    if isinstance(time, str) and set(instead) <= set(of_labels) and set(instead) <= set(frame):
        return instead
    raise InputError(
        f"The labels lack {listing(name for name in on if name not in of_labels)} (they have {listing(of_labels)}). "
        "Name the columns that name a row in on, or give the group columns and the time."
    )


def _with_late_labels(
    model: MetaModel,
    reference: ModelReference,
    state: MonitorState,
    windows: tuple[str, list[str]],
    labels: Labels | None,
) -> WindowNotes:
    name, at_hand = windows
    facts: dict[str, Any] = {"windows": at_hand, "windows_relabelled": []}
    if labels is None:
        return WindowNotes(facts=facts)
    changed = late_labels(model, reference, state, name, labels, at_hand)
    strangers = int((~labels.fitted).sum())
    if strangers and strangers == len(labels.fitted):
        raise InputError(
            f"No label fits a row: of {count(strangers, 'id')} none is in the table, or in an earlier window. "
            f"Check the columns {listing(labels.on)}."
        )
    words = [] if len(labels.fitted) else ["the table of labels has no row"]
    if strangers:
        words.append(f"{count(strangers, 'label')} of {len(labels.fitted):,} fit no row")
    return WindowNotes(tuple(words), {**facts, "windows_relabelled": changed, "labels_without_row": strangers})


def _control(state: MonitorState, name: str) -> dict[str, Any] | None:
    """Compare control and treated rows of a window and of those before it, as far as rows say which they are."""
    names = [name, *state.names_before(name)[:MOST_WINDOWS]]
    sums = sum_arms([state.arms(window) for window in names])
    return None if sums is None else compare_arms(sums)


def _counted(model: MetaModel, reference: ModelReference, data: Any, given: WindowInput) -> list[WindowCounts] | None:
    """Take counts, or let Spark count; None where it is a table on this machine."""
    on_spark = is_spark_table(data)
    parts = None if on_spark else _counts(data)
    if (on_spark or parts is not None) and given.labels is not None:
        raise InputError(
            "Labels are joined to rows on this machine, not to counts or Spark tables. Join them to the table before: "
            f"the target {model.manifest.target.name!r} is read from there."
        )
    if on_spark:
        return count_on_spark(model, reference, data, given.window)
    return None if parts is None else [WindowCounts.together(parts)]


def _counts(data: Any) -> list[WindowCounts] | None:
    """Take counts, or read their files; None where it is a table."""
    if isinstance(data, WindowCounts):
        return [data]
    if isinstance(data, str | Path) and Path(data).is_file() and is_count_file(Path(data)):
        return [read_counts(Path(data))]
    if isinstance(data, list | tuple) and data:
        parts = [_counts(one) for one in data]
        if all(part is not None for part in parts):
            return [counts for part in parts if part is not None for counts in part]
    return None
