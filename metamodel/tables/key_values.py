"""The values of group columns: what each kind of column takes for one of its own, without loss or not at all."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

__all__ = ["ISO_TIMESTAMP", "LARGEST_FLOAT", "KeyKind", "KeyValue", "converted_to", "is_null"]

KeyKind = Literal["string", "integer", "boolean", "date", "timestamp"]

KeyValue: TypeAlias = str | int | bool | dt.date | pd.Timestamp | None

ISO_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")

# Above this a float no longer holds every integer, so 9007199254740992.0 may have been ...993 before a cast.
LARGEST_FLOAT = 2**53

_INT64 = range(-(2**63), 2**63)


def converted_to(kind: KeyKind, value: object, *, utc: bool = False, from_text: bool = False) -> KeyValue:
    """Bring a value that is not null to a kind; None where it is none of that kind, or would change on the way.

    Parameters
    ----------
    kind
        Of the column.
    value
        Any scalar but null.
    utc, from_text
        As in `metamodel.tables.keys.KeyColumn`.

    Examples
    --------
    >>> converted_to("integer", 7.0), converted_to("integer", 7.5), converted_to("integer", "7", from_text=True)
    (7, None, 7)
    """
    if kind == "integer":
        return _integer(value, from_text)
    if kind == "boolean":
        return _boolean(value, from_text)
    if kind == "timestamp":
        return _timestamp(value, utc)
    return _date(value) if kind == "date" else _string(value)


def is_null(value: object) -> bool:
    """Whether a value is None, NaN, NaT or ``pd.NA``."""
    if type(value) is str or type(value) is int:  # by far the commonest; pandas takes a microsecond to say so
        return False
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _string(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate cannot be stored in UTF-8
        return None
    return str(value)


def _integer(value: object, from_text: bool) -> int | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        number = int(value)
    elif isinstance(value, float | np.floating):
        if not (abs(float(value)) < LARGEST_FLOAT and value == int(value)):
            return None
        number = int(value)
    elif isinstance(value, Decimal):
        # int(Decimal("1e999999")) would take minutes, so the bound comes first.
        if not (abs(value) < 2**64 and value == value.to_integral_value()):
            return None
        number = int(value)
    elif from_text and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        number = int(value)
    else:
        return None
    return number if number in _INT64 else None


def _boolean(value: object, from_text: bool) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if from_text and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return None


def _date(value: object) -> dt.date | None:
    if isinstance(value, str):  # JSON has no dates, so ISO text always counts
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None:
            return None
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, dt.datetime | np.datetime64):
        stamp = _stamp(value)
        if stamp is None:
            return None
        return stamp.date() if stamp.tzinfo is None and stamp == stamp.normalize() else None
    return value if isinstance(value, dt.date) else None


def _stamp(value: Any) -> pd.Timestamp | None:
    try:
        stamp = pd.Timestamp(value)
    except ValueError:
        return None
    return stamp if 1 <= stamp.year <= 9999 else None  # numpy's dates reach further than ISO's


def _timestamp(value: object, utc: bool) -> pd.Timestamp | None:
    if isinstance(value, str) and ISO_TIMESTAMP.fullmatch(value) is None:
        return None
    if not isinstance(value, str | dt.date | np.datetime64):
        return None
    stamp = _stamp(value)
    if stamp is None or (stamp.tzinfo is not None) != utc:
        return None
    return stamp.tz_convert("UTC") if utc else stamp
