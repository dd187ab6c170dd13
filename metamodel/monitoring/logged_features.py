"""Features of a prediction log that were counted where the rows were answered, and are in no row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.times import microseconds_in
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.monitoring.window_names import windows_of
from metamodel.prediction_log.log_counts import read_log_counts
from metamodel.prediction_log.log_reader import is_log

__all__ = ["logged_features"]

_DAY = 86_400_000_000


def logged_features(
    model: MetaModel, reference: ModelReference, data: Any, frame: pd.DataFrame, window: str | None
) -> dict[str, WindowCounts]:
    """Read the counts of a log, window by window; nothing where there are none, or the rows have their features.

    Parameters
    ----------
    model, reference
        Whose rows, and in which bins: what was counted in others is left out.
    data, frame
        What was given, and its rows.
    window
        Length of a window, or None; then the counts are under "".

    Raises
    ------
    InputError
        A window is shorter than a day, for which alone there are counts.
    """
    if not isinstance(data, str | Path) or not is_log(data) or {*model.manifest.features.names} & {*frame.columns}:
        return {}
    parts: dict[str, list[WindowCounts]] = {}
    for file, counts in read_log_counts(data):
        usable = _in_bins(counts, reference)
        if usable is not None:
            parts.setdefault(_window(model, file.day, window), []).append(usable)
    return {name: WindowCounts.together(of_window) for name, of_window in parts.items()}


def _window(model: MetaModel, day: str, window: str | None) -> str:
    length = microseconds_in(window, "window")
    if length is None:
        return ""
    if length % _DAY:
        raise InputError(
            f"window={window!r} cuts days, and this log has its features as counts of whole days. "
            'Give a length of some days, or log the features themselves (--log-features "all").'
        )
    time_column = model.manifest.options.get("time_column")
    ((name, _),) = windows_of(pd.DataFrame({time_column: [pd.Timestamp(day)]}), time_column, window, [])
    return name


def _in_bins(counts: WindowCounts, reference: ModelReference) -> WindowCounts | None:
    """Keep the groups that were counted in the reference's bins; None where there is none."""
    if set(counts.columns) != set(reference.cells.columns):
        return None
    place = reference.places.get_indexer(counts.places)
    there = place >= 0
    there[there] = counts.bins[there] == reference.digests[place[there]]
    return counts.take(np.flatnonzero(there), reference.cells.columns) if there.any() else None
