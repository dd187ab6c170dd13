"""Columns of random values in every form that a table may hold them in, for keys, features and targets."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

__all__ = ["FEATURES", "KEYS", "LABELS", "QUANTITIES", "Kind"]

LARGE = 2**60


@dataclass(frozen=True)
class Kind:
    """One form of column.

    Attributes
    ----------
    name
        For the printed example.
    pick
        From a random number to a value of the kind.
    dtype
        Of the column in a training table without nulls.
    null_dtype
        Of one with nulls.
    unseen
        Values that training never has.
    """

    name: str
    pick: Callable[[int], Any]
    dtype: Any
    null_dtype: Any = None
    unseen: tuple[Any, ...] = ()

    @property
    def is_duration(self) -> bool:
        return isinstance(self.pick(0), dt.timedelta)

    def column(self, values: Sequence[Any]) -> pd.Series:
        """Hold values, None for null, as such a table would."""
        nulls = any(value is None for value in values)
        dtype = self.null_dtype or self.dtype if nulls else self.dtype
        if dtype == "category":
            levels = sorted({value for value in values if value is not None}) or [self.pick(0)]
            return pd.Series(pd.Categorical(list(values), categories=levels))
        if isinstance(dtype, pd.ArrowDtype):
            return pd.Series(pd.array(pa.array(list(values), type=dtype.pyarrow_dtype), dtype=dtype))
        objects = pd.Series(list(values), dtype=object)
        if isinstance(dtype, pd.DatetimeTZDtype):
            return pd.to_datetime(objects, utc=True).dt.as_unit(dtype.unit).dt.tz_convert(dtype.tz)
        return objects.astype(dtype)


def _arrow(kind: pa.DataType) -> pd.ArrowDtype:
    return pd.ArrowDtype(kind)


START = dt.datetime(1969, 12, 30, 21, 7, 9)


def _moment(i: int, **step: float) -> dt.datetime:
    return START + i * dt.timedelta(**(step or {"hours": 7}))


def _aware(i: int) -> dt.datetime:
    return _moment(i, days=31).replace(tzinfo=dt.UTC)


def _of(*values: Any) -> Callable[[int], Any]:
    return lambda i: values[i % len(values)]


CODES = _of("007", "7", "7.0", "1e3", "-0")
WORDS = _of("NA", "None", "null", "true", "nan", "Zürich")

KEYS = [
    Kind("int64", lambda i: i, "int64", "Int64", (-5,)),
    Kind("int8", lambda i: i - 3, "int8", "Int8", (99,)),
    Kind("large int", lambda i: LARGE + i, "int64", "Int64", (LARGE + 99,)),
    Kind("uint64", lambda i: LARGE + i, "uint64", "UInt64", (2**63 + 5,)),
    Kind("whole floats", float, "float64", None, (0.5,)),
    Kind("text", lambda i: "abcdefgh"[i % 8], object, None, ("z",)),
    Kind("codes", CODES, object, None, ("07",)),
    Kind("words", WORDS, "string", None, ("none",)),
    Kind("arrow text", CODES, _arrow(pa.string()), None, ("1",)),
    Kind("bool", lambda i: i % 2 == 0, "bool", "boolean"),
    Kind("date", lambda i: _moment(i, days=40).date(), object, None, (dt.date(1900, 1, 1),)),
    Kind("timestamp", _moment, "datetime64[us]", None, (dt.datetime(2001, 1, 1),)),
    Kind(
        "zoned timestamp",
        _aware,
        pd.DatetimeTZDtype("ns", "Europe/Paris"),
        None,
        (dt.datetime(2001, 1, 1, tzinfo=dt.UTC),),
    ),
    Kind("category of texts", CODES, "category", None, ("07",)),
    Kind("category of ints", lambda i: i, "category", None, (-5,)),
    Kind("arrow int", lambda i: i, _arrow(pa.int32()), None, (-5,)),
    Kind("decimal", Decimal, object, None, (Decimal("0.5"),)),
]

FEATURES = [
    Kind("int8", lambda i: i % 100 - 50, "int8", "Int8", (300, 2.5)),
    Kind("int64", lambda i: i - 7, "int64", "Int64", (2.5,)),
    Kind("large int", lambda i: LARGE + i, "int64", "Int64", (-LARGE - 1,)),
    Kind("uint64", lambda i: 2**63 + i, "uint64", "UInt64", (3,)),
    Kind("Int16", lambda i: i % 1000, "Int16"),
    Kind("float64", lambda i: i / 7, "float64", None, (float("inf"),)),
    Kind("float32", lambda i: float(np.float32(i / 7)), "float32"),
    Kind("Float64", lambda i: i / 7, "Float64"),
    Kind("bool", lambda i: i % 3 == 0, "bool", "boolean"),
    Kind("boolean objects", lambda i: i % 3 == 0, object),
    Kind("int objects", lambda i: i, object, None, (2.5,)),
    Kind("decimal", lambda i: Decimal(i) / 8, object),
    Kind("text", lambda i: "abcdefgh"[i % 8], object, None, ("unseen",)),
    Kind("string", WORDS, "string", None, ("unseen",)),
    Kind("codes", CODES, object, None, ("08",)),
    Kind("category of texts", CODES, "category", None, ("08",)),
    Kind("category of words", WORDS, "category", None, ("unseen",)),
    Kind("category of ints", lambda i: i % 5, "category", None, (77,)),
    Kind("category of floats", lambda i: i % 5 / 4, "category", None, (7.5,)),
    Kind("category of bools", lambda i: i % 3 == 0, "category"),
    Kind("seconds", _moment, "datetime64[s]", None, (dt.datetime(1950, 1, 1, 1, 1, 1, 500_000),)),
    Kind("microseconds", lambda i: _moment(i, microseconds=12_345_678), "datetime64[us]"),
    Kind("nanoseconds", _moment, "datetime64[ns]", None, (dt.datetime(2500, 1, 1),)),
    Kind("zoned", _aware, pd.DatetimeTZDtype("ms", "America/New_York")),
    Kind("date", lambda i: _moment(i, days=40).date(), object),
    Kind("arrow int", lambda i: i, _arrow(pa.int16())),
    Kind("arrow uint", lambda i: i, _arrow(pa.uint8())),
    Kind("arrow double", lambda i: i / 7, _arrow(pa.float64())),
    Kind("arrow float", lambda i: float(np.float32(i / 7)), _arrow(pa.float32())),
    Kind("arrow bool", lambda i: i % 3 == 0, _arrow(pa.bool_())),
    Kind("arrow text", WORDS, _arrow(pa.string()), None, ("unseen",)),
    Kind("arrow decimal", lambda i: Decimal(i) / 8, _arrow(pa.decimal128(12, 3))),
    Kind("arrow timestamp", _moment, _arrow(pa.timestamp("ms"))),
    Kind("arrow zoned", _aware, _arrow(pa.timestamp("us", "UTC"))),
    Kind("arrow date", lambda i: _moment(i, days=40).date(), _arrow(pa.date32())),
    Kind("duration", lambda i: dt.timedelta(seconds=i), "timedelta64[ns]"),
]

QUANTITIES = [
    Kind("float64", lambda i: i / 7, "float64"),
    Kind("float32", lambda i: i / 8, "float32"),
    Kind("int64", lambda i: i, "int64", "Int64"),
    Kind("decimal", lambda i: Decimal(i) / 8, object),
    Kind("int objects", lambda i: i, object),
    Kind("duration", lambda i: dt.timedelta(seconds=i), "timedelta64[ns]"),
    Kind("arrow duration", lambda i: dt.timedelta(seconds=i), _arrow(pa.duration("ms"))),
    Kind("arrow decimal", lambda i: Decimal(i) / 8, _arrow(pa.decimal128(12, 3))),
]

LABELS = [
    Kind("text", _of("a", "b", "c"), object),
    Kind("words", _of("NA", "None", "null"), "string"),
    Kind("bool", _of(True, False), "bool", "boolean"),
    Kind("ints", _of(3, 8), "int64", "Int64"),
    Kind("category", _of("7", "007"), "category"),
    Kind("arrow ints", _of(3, 8), _arrow(pa.int64())),
    Kind("floats", _of(1.0, 2.0), "float64"),
    Kind("fractions", _of(0.5, 2.5), "float64"),
    Kind("decimal", _of(Decimal(1), Decimal(2)), object),
]
