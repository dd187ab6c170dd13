"""Rows of a log's tables in the bins of their groups' references: how many, and no value of any."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_features import drift_features
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.window_counts import WindowCounts, count_window
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.prediction_log.answered_rows import LoggedModel
from metamodel.prediction_log.log_columns import FEATURE_PREFIX
from metamodel.prediction_log.log_counts import write_count_file

__all__ = ["counted_days", "days_of", "without_features", "write_counted"]

# How many rows are counted before others may have the interpreter.
_ROWS_AT_ONCE = 1000


def write_counted(folder: Path, model: LoggedModel, table: pa.Table, pause_seconds: float = 0.0) -> None:
    """Count a table's rows into one new file for each of their days.

    Parameters
    ----------
    folder
        Of the log.
    model, table
        As for `counted_days`.
    pause_seconds
        How long to rest between parts, so that whoever answers meanwhile gets the interpreter.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    for counts in days_of(table, model, pause_seconds):
        write_count_file(folder, counts, model.name, model.version)


def days_of(table: pa.Table, model: LoggedModel, pause_seconds: float = 0.0) -> list[WindowCounts]:
    """Count a table's rows part by part; one sum a day. All as for `write_counted`."""
    days: dict[str, list[WindowCounts]] = {}
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        for counts in counted_days(table.slice(start, _ROWS_AT_ONCE), model):
            days.setdefault(counts.window, []).append(counts)
        time.sleep(pause_seconds)
    return [WindowCounts.together(parts) for parts in days.values()]


def counted_days(table: pa.Table, model: LoggedModel) -> Iterator[WindowCounts]:
    """Count a table's rows, day by day (UTC); rows without a key are nobody's.

    Parameters
    ----------
    table
        Of a log, with the features that are counted.
    model
        Who answered; it has a reference.
    """
    table = table.filter(pc.is_valid(table["key"]))
    days = pc.cast(pc.cast(table["time"], pa.timestamp("us")), pa.date32())
    for day in pc.unique(days).to_pylist():
        rows = _rows(table.filter(pc.equal(days, day)), model)
        assert model.reference is not None
        yield replace(count_window(model.reference, rows), window=str(day))


def without_features(table: pa.Table) -> pa.Table:
    """Leave out what was only to be counted."""
    return table.drop_columns([name for name in table.column_names if name.startswith(FEATURE_PREFIX)])


def _rows(table: pa.Table, model: LoggedModel) -> WindowRows:
    names = [name for name in table.column_names if name.startswith(FEATURE_PREFIX)]
    frame = table.select(names).to_pandas().rename(columns=lambda name: name.removeprefix(FEATURE_PREFIX))
    columns, _ = drift_features(frame, model.features)
    predictions = table["prediction"].to_pandas()
    if predictions.notna().any():  # or they are not logged
        if model.task == "regression":
            columns.values[PREDICTION] = predictions.to_numpy(np.float64)
        else:
            columns.values[PREDICTION], columns.texts[PREDICTION] = hash_categories(predictions.astype(object))
    codes, texts = pd.factorize(np.array(table["key"].to_pylist(), dtype=object))
    nothing = np.full(table.num_rows, -1, dtype=np.int64)
    return WindowRows(
        texts, np.asarray(codes, dtype=np.int64), columns, DriftColumns(), None, nothing, None, {}, ()
    )  # fmt: skip
