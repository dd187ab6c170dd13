"""One feature column: what is recorded of it, and how later values are brought to that form.

What a value becomes depends on the value and on what was recorded in training, never on the rows beside it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.tables.key_values import ISO_TIMESTAMP

__all__ = ["Feature", "FeatureKind", "column_kind", "convert"]

FeatureKind = Literal["number", "boolean", "string", "category", "timestamp", "object"]

_NUMBER_LIKE = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}

_NUMPY_NAMES = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {
    "bool",
    "float16",
    "float32",
}


def column_kind(values: pd.Series) -> FeatureKind:
    """Name the kind of a column.

    Examples
    --------
    >>> column_kind(pd.Series([1, 2.5])), column_kind(pd.Series(["a", None])), column_kind(pd.Series([True]))
    ('number', 'string', 'boolean')
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(values.dtype):
        return "boolean"
    if types.is_numeric_dtype(values.dtype):
        return "object" if types.is_complex_dtype(values.dtype) else "number"
    if types.is_datetime64_any_dtype(values.dtype):
        return "timestamp"
    inferred = types.infer_dtype(values, skipna=True)
    if inferred in _NUMBER_LIKE:
        return "number"
    return {"string": "string", "boolean": "boolean", "datetime": "timestamp", "date": "timestamp"}.get(
        inferred, "object"
    )  # type: ignore[return-value]


@dataclass(frozen=True)
class Feature:
    """One feature column as the training table had it.

    Parameters
    ----------
    name, kind, dtype
        Name of the column, what it holds, and its pandas dtype.
    categories, ordered
        Of a category: its categories in order. Codes must mean in every batch what they meant in training.
    """

    name: str
    kind: FeatureKind
    dtype: str
    categories: tuple[Any, ...] = ()
    ordered: bool = False

    @classmethod
    def infer(cls, name: str, values: pd.Series) -> Self:
        """Record a column of the training table.

        Raises
        ------
        InputError
            The categories of a category column are no strings, numbers or booleans.
        """
        kind = column_kind(values)
        if kind != "category":
            return cls(name, kind, str(values.dtype))
        categories = tuple(values.cat.categories.tolist())
        if odd := [value for value in categories if not isinstance(value, str | int | float | bool)]:
            raise InputError(
                f"Feature column {name!r} has the category {short(odd[0])}, which is no string, number or boolean. "
                "Convert the categories, or leave the column out of features."
            )
        return cls(name, kind, "category", categories, bool(values.cat.ordered))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict`, JSON in between."""
        return cls(**{**data, "categories": tuple(data.get("categories", ()))})


def convert(values: pd.Series, feature: Feature, problems: dict[int, str]) -> Any:
    """Bring a column to the form that children were fitted on.

    Parameters
    ----------
    values
        The column of any table.
    feature
        What was recorded.
    problems
        Row position → why this row cannot be used; added to.

    Returns
    -------
    array, Series or Categorical of the column's length; where a row has a problem, null.
    """
    if feature.kind == "number":
        return _restore(_numbers(values, feature.name, problems), feature.dtype)
    if feature.kind == "boolean":
        return _restore(_numbers(values, feature.name, problems), "bool")
    if feature.kind == "timestamp":
        return _timestamps(values, feature, problems)
    if feature.kind == "category":
        return _categories(values, feature)
    return _texts(values, feature.name, problems) if feature.kind == "string" else _objects(values)


def _objects(values: pd.Series) -> AnyArray:
    # One null for all: None, pd.NA and NaN would be different categories to an encoder.
    return values.astype(object).where(values.notna(), np.nan).to_numpy()


def _texts(values: pd.Series, name: str, problems: dict[int, str]) -> AnyArray:
    texts = _objects(values)
    if types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        texts = texts.copy()  # pandas 3 hands out arrays that cannot be written
        for row in np.flatnonzero(values.notna().to_numpy()):
            if not isinstance(texts[row], str):  # 75001 is not "75001", and an encoder would take it for unknown
                problems.setdefault(int(row), f"Feature {name!r} is not text.")
                texts[row] = np.nan
    return texts


def _categories(values: pd.Series, feature: Feature) -> pd.Categorical:
    objects = _objects(values)
    # Categories that training did not see go behind the known ones; what they mean is the child's affair.
    known = set(feature.categories)
    new = [value for value in dict.fromkeys(objects[values.notna().to_numpy()]) if value not in known]
    return pd.Categorical(objects, categories=[*feature.categories, *new], ordered=feature.ordered)


def _restore(numbers: AnyArray, dtype: str) -> AnyArray:
    """Give numbers the training dtype where nothing is lost by it (integers and booleans cannot hold a null)."""
    target = np.dtype(dtype.lower()) if dtype.lower() in _NUMPY_NAMES else np.dtype("float64")
    if target.kind == "f":
        return numbers.astype(target, copy=False)
    with np.errstate(invalid="ignore"):
        restored = numbers.astype(target)
    return restored if np.array_equal(restored, numbers) else numbers


def _numbers(values: pd.Series, name: str, problems: dict[int, str]) -> AnyArray:
    if _is_numeric(values):
        if isinstance(values.dtype, np.dtype):
            return values.to_numpy(dtype=np.float64) if values.dtype.kind != "f" else values.to_numpy()
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or (types.is_scalar(value) and pd.isna(value)):
            continue
        try:
            if isinstance(value, str | bytes) or not types.is_scalar(value):
                raise TypeError
            numbers[row] = float(value)
        except (TypeError, ValueError):
            problems.setdefault(row, f"Feature {name!r} is not a number.")
    return numbers


def _is_numeric(values: pd.Series) -> bool:
    """Whether every value of a column is a real number or a boolean by its dtype."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_complex_dtype(dtype):
        return False
    return bool(types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype))


def _timestamps(values: pd.Series, feature: Feature, problems: dict[int, str]) -> pd.Series:
    zone = getattr(pd.api.types.pandas_dtype(feature.dtype), "tz", None)
    if types.is_datetime64_any_dtype(values.dtype) and (values.dt.tz is None) == (zone is None):
        return (values if zone is None else values.dt.tz_convert(zone)).reset_index(drop=True)
    stamps = [_stamp(value, zone) for value in values]
    for row in np.flatnonzero(values.notna().to_numpy()):
        if stamps[row] is pd.NaT:
            kind = "a timestamp with a time zone" if zone else "a timestamp without a time zone"
            problems.setdefault(int(row), f"Feature {feature.name!r} is not {kind}.")
    return pd.Series(stamps, dtype="datetime64[ns]" if zone is None else pd.DatetimeTZDtype(tz=zone))


def _stamp(value: object, zone: Any) -> Any:
    if isinstance(value, str) and ISO_TIMESTAMP.fullmatch(value) is None:
        return pd.NaT
    if not isinstance(value, str | dt.date | np.datetime64):
        return pd.NaT
    try:
        stamp = pd.Timestamp(value).as_unit("ns")
    except ValueError:
        return pd.NaT
    if (stamp.tzinfo is None) != (zone is None):
        return pd.NaT
    return stamp if zone is None else stamp.tz_convert(zone)
