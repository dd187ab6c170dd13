"""Later values of a feature, brought to the form that training recorded.

What a value becomes depends on the value and on what was recorded, never on the rows beside it. A value that cannot be
brought there (text where a number belongs) spoils its own row. One that is good but does not fit (a null or a fraction
where children see integers, a category that training did not see) is *odd*: its row is asked apart, in a wider form.
"""

import contextlib
import datetime as dt
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray, IntArray, as_objects
from metamodel.tables.arrow import without_arrow
from metamodel.tables.feature_columns import Feature
from metamodel.tables.key_values import ISO_TIMESTAMP, is_null
from metamodel.tables.text_checks import PLAIN_NUMBER

__all__ = ["Converted", "convert", "float_values"]

_NONE = {
    "text": "text",
    "integer": "a whole number, as its categories are",
    "number": "a number, as its categories are",
    "boolean": "true or false, as its categories are",
}

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}(\.0*)?")

# int(Decimal("1e999999")) would take minutes.
_LARGEST = 2**64


@dataclass(frozen=True)
class Converted:
    """A column in the recorded form.

    Attributes
    ----------
    values
        Array, Series or Categorical; where a row has a problem or is odd, a placeholder.
    odd
        0 for a row that fits; of the others those with one number are odd in the same way. None where all fit.
    floats
        Of integers and booleans with odd rows: the whole column as floats.
    levels
        Of a category: the unseen category that each number of `odd`, less one, stands for.
    """

    values: Any
    odd: IntArray | None = None
    floats: AnyArray | None = None
    levels: list[Any] = field(default_factory=list)


def convert(values: pd.Series, feature: Feature, problems: dict[int, str], *, matrix: bool = False) -> Converted:
    """Bring a column to the form that children were fitted on.

    Parameters
    ----------
    values
        The column of any table.
    feature
        What was recorded.
    problems
        Row position → why this row cannot be used; added to.
    matrix
        Whether children take a matrix, in which every number is a float.
    """
    values = without_arrow(values)
    if feature.kind in ("number", "boolean"):
        if feature.is_whole and not matrix:
            return _whole(values, feature, problems)
        with np.errstate(over="ignore"):
            return Converted(float_values(values, feature, problems).astype(_float_dtype(feature), copy=False))
    if feature.kind == "timestamp":
        return Converted(_timestamps(values, feature, problems))
    if feature.kind == "category":
        return _categories(values, feature, problems)
    return Converted(_texts(values, feature.name, problems))


def _float_dtype(feature: Feature) -> str:
    return feature.form if feature.form in ("float16", "float32") else "float64"


def float_values(values: pd.Series, feature: Feature, problems: dict[int, str]) -> AnyArray:
    """Read a column of numbers as floats, shape (n_rows,); nulls, and rows with a problem, are NaN."""
    if _is_numeric(values):
        if isinstance(values.dtype, np.dtype):
            return values.to_numpy(dtype=np.float64) if values.dtype.kind != "f" else values.to_numpy()
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(_numbers(values, feature, problems)):
        if value is not None:
            numbers[row] = value
    return numbers


def _numbers(values: pd.Series, feature: Feature, problems: dict[int, str]) -> list[int | float | None]:
    """Read objects one by one: an int stays one, whatever its size; a null, or no number, is None."""
    numbers: list[int | float | None] = [None] * len(values)
    for row, value in enumerate(values):
        if is_null(value) or (feature.null_texts and value in feature.null_texts):
            continue
        try:
            numbers[row] = float(value) if _is_number_text(value, feature) else _number(value)
        except (TypeError, ValueError, OverflowError):
            wanted = "neither true nor false" if feature.kind == "boolean" else "not a number"
            problems.setdefault(row, f"Feature {feature.name!r} is {wanted}.")
    return numbers


def _is_number_text(value: Any, feature: Feature) -> bool:
    return bool(feature.null_texts) and isinstance(value, str) and re.match(PLAIN_NUMBER, value) is not None


def _number(value: Any) -> int | float:
    if isinstance(value, str | bytes) or not types.is_scalar(value):
        raise TypeError
    number = float(value)  # raises for an integer beyond every float, too
    is_whole = isinstance(value, Decimal) and abs(number) < _LARGEST and value == value.to_integral_value()
    return int(value) if is_whole or isinstance(value, int | np.integer) else number


def _is_numeric(values: pd.Series) -> bool:
    """Whether every value of a column is a real number or a boolean by its dtype."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_complex_dtype(dtype):
        return False
    return bool(types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype))


def _whole(values: pd.Series, feature: Feature, problems: dict[int, str]) -> Converted:
    """Bring a column to integers or booleans of the recorded size, exactly; what they cannot hold is odd."""
    target = np.dtype(feature.form)
    if _is_numeric(values):
        null = values.isna().to_numpy()
        of_numpy = getattr(values.dtype, "numpy_dtype", values.dtype)
        given = values.to_numpy() if of_numpy is values.dtype else values.to_numpy(dtype=of_numpy, na_value=0)
        with np.errstate(invalid="ignore"):
            whole = given.astype(target)
            # There and back again; a sign that changes on the way comes back unseen.
            fits = (whole.astype(of_numpy) == given) & ((whole < 0) == (given < 0)) & ~null
    else:
        numbers = _numbers(values, feature, problems)
        of_rows = [_exactly(number, target) for number in numbers]
        whole = np.array([0 if number is None else number for number in of_rows], dtype=target)
        fits = np.array([number is not None or row in problems for row, number in enumerate(of_rows)], dtype=bool)
    if fits.all():
        return Converted(whole)
    return Converted(np.where(fits, whole, target.type(0)), (~fits).astype(np.int64), _wide(values, feature))


def _wide(values: pd.Series, feature: Feature) -> AnyArray:
    return float_values(values, feature, {}).astype(np.float64, copy=False)


def _exactly(number: int | float | None, target: np.dtype[Any]) -> int | None:
    if number is None or not math.isfinite(number) or int(number) != number:
        return None
    low, high = (0, 1) if target.kind == "b" else (np.iinfo(target).min, np.iinfo(target).max)
    return int(number) if low <= number <= high else None


def _objects(values: pd.Series) -> AnyArray:
    # One null for all: None, pd.NA and NaN would be different categories to an encoder.
    return as_objects(values, np.nan)


def _texts(values: pd.Series, name: str, problems: dict[int, str]) -> AnyArray:
    texts = _objects(values)
    if types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        texts = texts.copy()  # pandas 3 hands out arrays that cannot be written
        for row in np.flatnonzero(values.notna().to_numpy()):
            if not isinstance(texts[row], str):  # 75001 is not "75001", and an encoder would take it for unknown
                problems.setdefault(int(row), f"Feature {name!r} is not text.")
                texts[row] = np.nan
    return texts


def _categories(values: pd.Series, feature: Feature, problems: dict[int, str]) -> Converted:
    codes, distinct = _distinct(values)
    code_of_level = {(type(level), level): i for i, level in enumerate(feature.categories)}
    unseen: dict[tuple[type, Any], int] = {}
    of_distinct, odd_distinct, bad = np.full(len(distinct) + 1, -1), np.zeros(len(distinct) + 1, dtype=np.int64), set()
    for i, value in enumerate(distinct):
        level = _level(value, feature)
        if level is None:
            bad.add(i)
            continue
        mark = (type(level), level)
        of_distinct[i] = code_of_level.get(mark, -1)
        if mark not in code_of_level:
            odd_distinct[i] = 1 + unseen.setdefault(mark, len(unseen))
    for row in np.flatnonzero(np.isin(codes, list(bad))) if bad else ():
        problems.setdefault(int(row), f"Feature {feature.name!r} is not {_NONE[feature.level_kind]}.")
    dtype = pd.CategoricalDtype(list(feature.categories), feature.ordered)
    column = pd.Categorical.from_codes(of_distinct[codes], dtype=dtype)
    odd = odd_distinct[codes] if unseen else None  # code -1, a null, picks the last entry, which is no category
    return Converted(column, odd, levels=[level for _, level in unseen])


def _distinct(values: pd.Series) -> tuple[IntArray, list[Any]]:
    """Code a column's values, -1 for null; 1, 1.0 and True are different ones."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy().astype(np.int64), values.cat.categories.tolist()
    if values.dtype != object or types.infer_dtype(values, skipna=True) == "string":
        codes, distinct = pd.factorize(values)
        return codes.astype(np.int64), distinct.tolist()
    places: dict[tuple[type, Any], int] = {}
    marks = ((type(value), value if types.is_hashable(value) else repr(value)) for value in values)
    codes = np.array([-1 if is_null(mark[1]) else places.setdefault(mark, len(places)) for mark in marks])
    return codes.astype(np.int64), [value for _, value in places]


def _level(value: Any, feature: Feature) -> Any:
    """Bring a value to the kind of the categories, from its text too; None where it is none of that kind."""
    kind, is_text = feature.level_kind, isinstance(value, str)
    if kind == "mixed":
        return value.item() if isinstance(value, np.generic) else value
    if kind == "text":
        return str(value) if is_text else None
    if isinstance(value, bool | np.bool_) or kind == "boolean":
        truth = {"true": True, "false": False}.get(value.lower()) if is_text else value
        return bool(truth) if kind == "boolean" and isinstance(truth, bool | np.bool_) else None
    number = _level_number(value)
    if kind == "integer":
        return number if isinstance(number, int) else None
    return next((level for level in feature.categories if level == number), number)  # 1 and 1.0 are one category


def _level_number(value: Any) -> int | float | None:
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            return int(value.partition(".")[0])
        try:
            value = float(value) if "_" not in value else None
        except ValueError:
            return None
    if isinstance(value, int | np.integer):
        return int(value)
    if not isinstance(value, float | np.floating | Decimal) or not math.isfinite(value):
        return None
    number = float(value)
    return int(value) if abs(number) < _LARGEST and value == int(value) else number


def _timestamps(values: pd.Series, feature: Feature, problems: dict[int, str]) -> pd.Series:
    dtype: Any = types.pandas_dtype(feature.form)
    zone = getattr(dtype, "tz", None)
    unit = str(np.datetime_data(dtype)[0] if zone is None else dtype.unit)
    if types.is_datetime64_any_dtype(values.dtype) and (values.dt.tz is None) == (zone is None):
        # What does not fit the unit is looked at one by one, so that the others are answered.
        with contextlib.suppress(pd.errors.OutOfBoundsDatetime, OverflowError):
            stamped = values.dt.as_unit(unit)
            return (stamped if zone is None else stamped.dt.tz_convert(zone)).reset_index(drop=True)
    stamps = [_stamp(value, zone, unit) for value in values]
    for row in np.flatnonzero(values.notna().to_numpy()):
        if stamps[row] is pd.NaT:
            kind = "a timestamp with a time zone" if zone else "a timestamp without a time zone"
            problems.setdefault(int(row), f"Feature {feature.name!r} is not {kind}.")
    if zone is not None:
        stamps = [stamp if stamp is pd.NaT else stamp.tz_convert("UTC").tz_localize(None) for stamp in stamps]
    column = pd.Series(stamps, dtype=f"datetime64[{unit}]")
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)


def _stamp(value: object, zone: Any, unit: str) -> Any:
    if isinstance(value, str) and ISO_TIMESTAMP.fullmatch(value) is None:
        return pd.NaT
    if not isinstance(value, str | dt.date | np.datetime64):
        return pd.NaT
    try:
        stamp = pd.Timestamp(value).as_unit(unit)
    except (ValueError, OverflowError):
        return pd.NaT
    return pd.NaT if stamp is pd.NaT or (stamp.tzinfo is None) != (zone is None) else stamp
