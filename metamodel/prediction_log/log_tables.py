"""Many calls' rows as one table of the log: whole columns at a time, or it would cost as much as answering."""

import datetime as dt
import os
from collections.abc import Callable, Sequence
from itertools import count as numbers_from
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metamodel.common.arrays import AnyArray
from metamodel.prediction.answer_form import VARIANTS
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_columns import COLUMNS, prediction_type
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.pseudonyms import pseudonyms
from metamodel.prediction_log.row_ids import id_text
from metamodel.prediction_log.row_sampling import content_hashes, id_hashes, sampled
from metamodel.tables.feature_columns import Feature

__all__ = ["has_features", "log_table"]

_numbers = numbers_from()


def log_table(calls: Sequence[AnsweredRows], settings: LogSettings) -> pa.Table:
    """Put the rows that are sampled into one table.

    Parameters
    ----------
    calls
        At least one; all answered by the same model.
    settings
        What is sampled, and which columns stay empty.

    Returns
    -------
    Table
        The columns of a log. Features stand in it also where they are only to be counted.
    """
    texts = [text for call in calls for text in _row_keys(call)]
    row_ids = [name for call in calls for name in _row_ids(call, settings.row_id)]
    model = calls[0].model
    names = settings.kept_features(model.feature_names) if has_features(model, settings) else {}
    features = _features(calls) if names or settings.sample < 1 else []
    columns = _columns(calls, settings, texts, row_ids)
    for i, feature in enumerate(model.features):
        if feature.name in names:
            columns[names[feature.name]] = _feature_array(features[i], feature)
    table = pa.table(columns)
    return table if settings.sample == 1 else table.filter(pa.array(_chosen(texts, row_ids, features, settings.sample)))


def has_features(model: LoggedModel, settings: LogSettings) -> bool:
    """Whether a table of this model's rows has their features: to be written, or to be counted."""
    return settings.features == "all" or (settings.features == "counts" and model.reference is not None)


def _columns(
    calls: Sequence[AnsweredRows], settings: LogSettings, texts: list[str], row_ids: list[str | None]
) -> dict[str, pa.Array]:
    """Make the log's own columns, in order; those that are dropped are empty."""
    model = calls[0].model
    sizes = [len(call) for call in calls]
    lower, upper = _limits(calls)
    made: dict[str, Callable[[], Any]] = {
        "row_id": lambda: _named(row_ids),
        "time": lambda: np.repeat(np.array([call.microseconds for call in calls], dtype="datetime64[us]"), sizes),
        "model": lambda: [model.name] * len(texts),
        "version": lambda: [model.version] * len(texts),
        "child_version": lambda: [text or None for call in calls for text in call.answers.child_versions],
        "key": lambda: [text or None for text in texts],
        "entity_hash": lambda: _entities(calls, settings, len(texts)),
        "variant": lambda: [text for call in calls for text in _variants(call)],
        "challenger_share": lambda: [model.challenger_share] * len(texts),
        "status": lambda: [text for call in calls for text in call.answers.statuses],
        "prediction": lambda: [label for call in calls for label in call.answers.plain(call.answers.prediction)],
        "lower": lambda: lower,
        "upper": lambda: upper,
        "shadow_prediction": lambda: [label for call in calls for label in _shadows(call)],
        "latency_ms": lambda: np.repeat([call.seconds * 1000 for call in calls], sizes),
        "sampling_fraction": lambda: np.full(len(texts), settings.sample),
    }
    of_labels = prediction_type(model.task, model.label_kind)
    types = {name: kind or of_labels for name, kind in COLUMNS.items()}
    return {
        name: pa.nulls(len(texts), kind) if name in settings.drop else _array(made[name](), kind)
        for name, kind in types.items()
    }


def _row_keys(call: AnsweredRows) -> list[str]:
    texts: list[str] = call.grouping.texts.tolist()
    return [texts[code] for code in call.grouping.codes.tolist()]


def _row_ids(call: AnsweredRows, column: str) -> list[str | None]:
    values = call.sent.get(column)
    if values is None:
        return [None] * len(call)
    return [id_text(value) for value in values]


def _named(row_ids: Sequence[str | None]) -> list[str]:
    """Give the rows that came without an id one that no other row has."""
    if None not in row_ids:
        return list(row_ids)  # type: ignore[arg-type]
    process = f"{os.getpid():x}-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S%f}"
    return [f"{process}-{next(_numbers)}" if name is None else name for name in row_ids]


def _entities(calls: Sequence[AnsweredRows], settings: LogSettings, n_rows: int) -> list[str | None]:
    if not settings.entity:
        return [None] * n_rows
    return [
        name
        for call in calls
        for name in pseudonyms(settings.entity, call.sent, settings.secret, len(call))
    ]  # fmt: skip


def _variants(call: AnsweredRows) -> list[str | None]:
    codes = call.answers.variant
    return [None] * len(call) if codes is None else [VARIANTS[code] for code in codes.tolist()]


def _shadows(call: AnsweredRows) -> list[Any]:
    """Tell what the other model says of each row, as far as it has said it by now."""
    other, shadow = call.answers.other, call.answers.shadow
    values = other if shadow is None else shadow.prediction
    return [None] * len(call) if values is None else call.answers.plain(values)


def _limits(calls: Sequence[AnsweredRows]) -> tuple[AnyArray, AnyArray]:
    if all(call.answers.radius is None for call in calls):
        none = np.full(sum(map(len, calls)), np.nan)
        return none, none
    missing = [np.full(len(call), np.nan) if call.answers.radius is None else call.answers.radius for call in calls]
    radii, middles = np.concatenate(missing), np.concatenate([call.answers.prediction for call in calls])
    with np.errstate(over="ignore"):
        return middles - radii, middles + radii


def _chosen(
    texts: Sequence[str], row_ids: Sequence[str | None], features: Sequence[AnyArray], fraction: float
) -> AnyArray:
    """Sample by a row's id where it came with one, else by what it holds."""
    hashes = content_hashes(texts, features)
    named = [i for i, name in enumerate(row_ids) if name is not None]
    if named:
        hashes[named] = id_hashes([str(row_ids[i]) for i in named])
    return sampled(hashes, fraction)


def _features(calls: Sequence[AnsweredRows]) -> Sequence[AnyArray]:
    """Put each feature of all calls into one array."""
    matrices = [call.columns.matrix for call in calls if call.columns.matrix is not None]
    if len(matrices) == len(calls):  # the few rows of servers
        return list(np.concatenate(matrices).T)
    return [_feature_values(calls, i) for i in range(len(calls[0].model.features))]


def _feature_values(calls: Sequence[AnsweredRows], i: int) -> AnyArray:
    arrays = [call.columns.as_given(i) for call in calls]
    if all(isinstance(values, np.ndarray) for values in arrays):
        return np.concatenate(arrays)
    return np.array([value for values in arrays for value in np.asarray(values, dtype=object)], dtype=object)


def _feature_array(values: AnyArray, feature: Feature) -> pa.Array:
    """Numbers as numbers, times as times, whatever else as text: the same type in every file."""
    if values.dtype.kind in "fiub":
        return _array(values.astype(np.float64), pa.float64())
    if feature.kind == "timestamp":
        times = pd.to_datetime(pd.Series(values), utc=True, errors="coerce")
        return pa.array(times.dt.as_unit("us"), pa.timestamp("us", "UTC"), from_pandas=True)
    missing = pd.isna(values)
    if feature.kind in ("number", "boolean"):
        numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return _array(numbers, pa.float64())
    return _array([None if gap else _text(value) for value, gap in zip(values, missing, strict=True)], pa.string())


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """Make a column; NaN is null, and half a character, which no file in UTF-8 can hold, a question mark."""
    try:
        return pa.array(values, kind, from_pandas=True)
    except UnicodeEncodeError:
        return pa.array([text and text.encode(errors="replace").decode() for text in values], kind)
