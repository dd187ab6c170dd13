"""Count what came in, and remember it: rows, or counts of rows; labels of these and of earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count, listing
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.late_labels import Labels, keep_rows, late_labels
from metamodel.monitoring.logged_features import logged_features
from metamodel.monitoring.logged_rows import read_rows
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.monitoring.spark import count_on_spark, is_spark_table
from metamodel.prediction_log.count_files import is_count_file, read_counts
from metamodel.tables.sources import read_source

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
    frame, source = read_rows(model, data)
    if not len(frame):
        raise InputError("The table has no row, so that there is no window. Give the rows of one.")
    labels, values = _labels(model, frame, given)
    name, windows = "", []
    elsewhere = logged_features(model, reference, data, frame, given.window)
    for part in count_table(model, reference, frame, values, given.window, state.windows):
        name = part.counts.window
        windows.append(name)
        of_features = elsewhere.get(name if given.window else "")
        state.keep_counts(name, part.counts if of_features is None else part.counts.with_features(of_features))
        if set(given.on) <= set(part.frame) and "prediction" in part.answers:
            keep_rows(state, name, part.frame[list(given.on)], part.answers, part.rows, part.labels)
    if not name:
        raise InputError("No row of the table has a time, so that there is no window. Give the rows their times.")
    return name, _with_late_labels(model, reference, state, (name, windows), labels, source)


def _labels(model: MetaModel, frame: pd.DataFrame, given: WindowInput) -> tuple[Labels | None, pd.Series | None]:
    """Read the labels, and give the rows at hand theirs."""
    target = model.manifest.target.name
    at_hand = frame.get(target, None)
    if given.labels is None:
        return None, at_hand
    table, _ = read_source(given.labels, given.on)
    on = _columns_of_id(model, frame, table, given.on)
    labels = Labels.of(table, on, target)
    if not set(on) <= set(frame):
        return labels, at_hand
    values, labels = labels.joined(frame)
    return labels, values if at_hand is None else values.where(values.notna(), at_hand)


def _columns_of_id(model: MetaModel, frame: pd.DataFrame, table: pd.DataFrame, on: Sequence[str]) -> tuple[str, ...]:
    """Columns that name a row in both tables: those given, else the group and the time."""
    if set(on) <= set(table):
        return tuple(on)
    time = model.manifest.options.get("time_column")
    instead = (*model.manifest.keys.names, *((time,) if isinstance(time, str) else ()))
    if isinstance(time, str) and set(instead) <= set(table) and set(instead) <= set(frame):
        return instead
    raise InputError(
        f"The labels lack {listing(name for name in on if name not in table)} (they have {listing(table.columns)}). "
        "Name the columns that name a row in on, or give the group columns and the time."
    )


def _with_late_labels(
    model: MetaModel,
    reference: ModelReference,
    state: MonitorState,
    windows: tuple[str, list[str]],
    labels: Labels | None,
    source: str,
) -> WindowNotes:
    name, at_hand = windows
    facts = {"source": source, "windows": at_hand, "windows_relabelled": []}
    if labels is None:
        return WindowNotes(facts=facts)
    labels, changed = late_labels(model, reference, state, name, labels, at_hand)
    strangers = len(labels.table) - labels.fitted
    if not labels.fitted:
        raise InputError(
            f"No label fits a row: of {count(len(labels.table), 'id')} none is in the table, or in an earlier window. "
            f"Check the columns {listing(labels.on)}."
        )
    words = (f"{count(strangers, 'label')} fit no row",) if strangers else ()
    return WindowNotes(words, {**facts, "windows_relabelled": changed, "labels_without_row": strangers})


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
