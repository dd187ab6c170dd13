"""Rows of a prediction log as rows of a table: the group's columns, features and time under their own names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.prediction.answer_form import VARIANT
from metamodel.prediction_log.log_columns import FEATURE_PREFIX
from metamodel.prediction_log.log_reader import is_log, read_log
from metamodel.tables.files import read_batches
from metamodel.tables.keys import decode_keys
from metamodel.tables.sources import read_source

__all__ = ["as_rows", "read_rows"]

_KEPT = ("row_id", "prediction", "lower", "upper", VARIANT)

# What tells a log from a table of rows.
_OF_LOG = {"key", "prediction", "status", "time", "version"}


def read_rows(model: MetaModel, data: Any, on: Sequence[str]) -> tuple[Iterator[pd.DataFrame], str]:
    """Read a table of rows, or a prediction log by its folder, even while it is written and compacted.

    Parameters
    ----------
    model
        Whose rows.
    data
        As for `metamodel.monitor`.
    on
        Columns that name a row: in a CSV file they are text, as in a log.

    Returns
    -------
    parts, source
        The rows, at most so many at a time that memory does not grow with a log or a file, and what they are from.
    """
    if isinstance(data, str | Path):
        if is_log(data):
            return (as_rows(model, part) for part in read_log(data)), str(data)
        if Path(data).exists():
            keys, target = model.manifest.keys, model.manifest.target
            texts = [column.name for column in keys.columns if column.kind == "string"]
            texts += [*model.manifest.features.texts, *on, *([target.name] if target.label_kind == "string" else [])]
            return (as_rows(model, part) for part in read_batches(data, keys.names, texts)), str(data)
    frame, source = read_source(data, model.manifest.keys.names)
    return iter([as_rows(model, frame)]), source


def as_rows(model: MetaModel, frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a prediction log to the columns of a table of rows; any other table is returned as it is.

    Rows that no group answered, or whose key was not logged, are left out: nobody knows whose they are.

    Parameters
    ----------
    model
        Whose log it is.
    frame
        With the columns of `metamodel.prediction_log.log_columns`; features only where they were logged.
    """
    names = model.manifest.keys.names
    if not set(frame.columns) >= _OF_LOG or set(names) <= set(frame.columns):
        return frame
    frame = frame[frame["key"].notna()].reset_index(drop=True)
    codes, texts = pd.factorize(frame["key"])
    keys = decode_keys(texts.tolist())
    columns: dict[str, Any] = {}
    for i, name in enumerate(names):
        values = pd.Series([key[i] if i < len(key) else None for key in keys], dtype=object).infer_objects()
        columns[name] = values.to_numpy()[codes]
    for name in model.manifest.features.names:
        if f"{FEATURE_PREFIX}{name}" in frame:
            columns[name] = frame[f"{FEATURE_PREFIX}{name}"]
    time = model.manifest.options.get("time_column")
    if isinstance(time, str):
        columns[time] = frame["time"].dt.tz_localize(None) if frame["time"].dt.tz is not None else frame["time"]
    kept = [name for name in _KEPT if name in frame and name not in columns]
    answered = {name: frame[name] for name in kept if frame[name].notna().any()}
    return pd.DataFrame({**columns, **answered})
