"""The columns of a log: their names, types and order, whichever server or batch wrote them."""

import pyarrow as pa

__all__ = ["COLUMNS", "DROPPABLE", "FEATURE_PREFIX", "prediction_type"]

# Before the name of a feature, so that none is mistaken for a column of the log.
FEATURE_PREFIX = "feature_"

_TEXT, _NUMBER = pa.string(), pa.float64()

# Of the prediction, whose type is that of the model's labels, stands None.
COLUMNS: dict[str, pa.DataType | None] = {
    "row_id": _TEXT,
    "time": pa.timestamp("us", "UTC"),
    "model": _TEXT,
    "version": _TEXT,
    "child_version": _TEXT,
    "key": _TEXT,
    "entity_hash": _TEXT,
    "variant": _TEXT,
    "challenger_share": _NUMBER,
    "status": _TEXT,
    "prediction": None,
    "lower": _NUMBER,
    "upper": _NUMBER,
    "shadow_prediction": None,
    "latency_ms": _NUMBER,
    "sampling_fraction": _NUMBER,
}

# Without the others nobody could say what a row is, or weigh it.
DROPPABLE = ("row_id", "key", "prediction", "lower", "upper", "shadow_prediction", "latency_ms")

_LABELS = {"integer": pa.int64(), "boolean": pa.bool_(), "number": _NUMBER, "string": _TEXT}


def prediction_type(task: str, label_kind: str | None) -> pa.DataType:
    """Type of the columns that hold predictions.

    Examples
    --------
    >>> prediction_type("regression", None), prediction_type("classification", "integer")
    (DataType(double), DataType(int64))
    """
    return _NUMBER if task == "regression" else _LABELS[label_kind or "string"]
