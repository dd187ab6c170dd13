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
from metamodel.prediction_log.answered_rows import AnsweredRows
from metamodel.prediction_log.gathered_rows import CallColumns, GatheredRows, has_features
from metamodel.prediction_log.log_columns import COLUMNS, prediction_type
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.pseudonyms import pseudonyms
from metamodel.prediction_log.row_sampling import content_hashes, id_hashes, sampled
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureColumns

__all__ = ["gathered_table", "log_table"]

_numbers = numbers_from()


def log_table(calls: Sequence[AnsweredRows], settings: LogSettings) -> pa.Table:
    """Put the rows of some calls into one table; see `gathered_table`.

    Parameters
    ----------
    calls
        At least one; all answered by the same model.
    settings
        What is sampled, and which columns stay empty.
    """
    gathered = GatheredRows(calls[0].model, settings)
    for call in calls:
        gathered.add(call)
    return gathered_table(gathered)


def gathered_table(gathered: GatheredRows) -> pa.Table:
    """Put the rows that are sampled into one table.

    Returns
    -------
    Table
        The columns of a log. Features stand in it also where they are only to be counted.
    """
    model, settings = gathered.model, gathered.settings
    names = settings.kept_features(model.feature_names) if has_features(model, settings) else {}
    features = _features(gathered) if gathered.keeps_features else []
    columns = _columns(gathered)
    for i, feature in enumerate(model.features):
        if feature.name in names:
            columns[names[feature.name]] = _feature_array(features[i], feature)
    table = pa.table(columns)
    if settings.sample == 1:
        return table
    return table.filter(pa.array(_chosen(gathered.rows.keys, gathered.rows.row_ids, features, settings.sample)))


def _columns(gathered: GatheredRows) -> dict[str, pa.Array]:
    """Make the log's own columns, in order; those that are dropped are empty."""
    model, settings, rows, calls = gathered.model, gathered.settings, gathered.rows, gathered.calls
    lower, upper = _limits(calls)
    made: dict[str, Callable[[], Any]] = {
        "row_id": lambda: _named(rows.row_ids),
        "time": lambda: np.repeat(np.array(calls.microseconds, dtype="datetime64[us]"), calls.sizes),
        "model": lambda: [model.name] * len(gathered),
        "version": lambda: [model.version] * len(gathered),
        "child_version": lambda: [text or None for text in rows.child_versions],
        "key": lambda: [text or None for text in rows.keys],
        "entity_hash": lambda: _entities(gathered),
        "variant": lambda: rows.variants,
        "challenger_share": lambda: [model.challenger_share] * len(gathered),
        "status": lambda: rows.statuses,
        "prediction": lambda: rows.predictions,
        "lower": lambda: lower,
        "upper": lambda: upper,
        "shadow_prediction": lambda: _shadows(calls),
        "latency_ms": lambda: np.repeat(np.array(calls.seconds) * 1000, calls.sizes),
        "sampling_fraction": lambda: np.full(len(gathered), settings.sample),
    }
    of_labels = prediction_type(model.task, model.label_kind)
    types = {name: kind or of_labels for name, kind in COLUMNS.items()}
    return {
        name: pa.nulls(len(gathered), kind) if name in settings.drop else _array(made[name](), kind)
        for name, kind in types.items()
    }


def _named(row_ids: Sequence[str | None]) -> list[str]:
    """Give the rows that came without an id one that no other row has."""
    if None not in row_ids:
        return list(row_ids)  # type: ignore[arg-type]
    process = f"{os.getpid():x}-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S%f}"
    return [f"{process}-{next(_numbers)}" if name is None else name for name in row_ids]


def _entities(gathered: GatheredRows) -> list[str | None]:
    settings, calls = gathered.settings, gathered.calls
    if not settings.entity:
        return [None] * len(gathered)
    return [
        name
        for sent, size in zip(calls.sent, calls.sizes, strict=True)
        for name in pseudonyms(settings.entity, sent, settings.secret, size)
    ]  # fmt: skip


def _shadows(calls: CallColumns) -> list[Any]:
    """Tell what the other model says of each row, as far as it has said it by now."""
    labels: list[Any] = []
    for answers, size in zip(calls.others, calls.sizes, strict=True):
        values = None
        if answers is not None:
            values = answers.other if answers.shadow is None else answers.shadow.prediction
        labels += [None] * size if answers is None or values is None else answers.plain(values)
    return labels


def _limits(calls: CallColumns) -> tuple[AnyArray, AnyArray]:
    if not any(calls.limits):
        none = np.full(sum(calls.sizes), np.nan)
        return none, none
    pairs = [limits or (np.full(size, np.nan),) * 2 for limits, size in zip(calls.limits, calls.sizes, strict=True)]
    middles, radii = (np.concatenate(column) for column in zip(*pairs, strict=True))
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


def _features(gathered: GatheredRows) -> Sequence[AnyArray]:
    """Put each feature of all calls into one array."""
    matrices = [values for values in gathered.calls.features if isinstance(values, np.ndarray)]
    if len(matrices) == len(gathered.calls.sizes):  # the few rows of servers
        return list(np.concatenate(matrices).T)
    return [_feature_values(gathered.calls.features, i) for i in range(len(gathered.model.features))]


def _feature_values(calls: Sequence[AnyArray | FeatureColumns | None], i: int) -> AnyArray:
    arrays = [
        values[:, i] if isinstance(values, np.ndarray) else values.as_given(i) for values in calls if values is not None
    ]
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
