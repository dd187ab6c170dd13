"""One feature column: what is recorded of it in training, above all the one form in which children see it."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import pandas as pd
from pandas.api import types

from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.tables.arrow import without_arrow

__all__ = ["Feature", "FeatureKind", "LevelKind", "column_kind", "text_levels"]

FeatureKind = Literal["number", "boolean", "string", "category", "timestamp", "object"]

LevelKind = Literal["text", "integer", "number", "boolean", "mixed"]

_NUMBER_LIKE = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}


def column_kind(values: pd.Series) -> FeatureKind:
    """Name the kind of a column.

    Examples
    --------
    >>> column_kind(pd.Series([1, 2.5])), column_kind(pd.Series(["a", None])), column_kind(pd.Series([True]))
    ('number', 'string', 'boolean')
    """
    values = without_arrow(values)
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


def text_levels(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Count the values of each column of texts or categories."""
    texts = [name for name in names if column_kind(frame[name]) in ("string", "category")]
    return {name: int(frame[name].nunique()) for name in texts}


@dataclass(frozen=True)
class Feature:
    """One feature column as the training table had it.

    Parameters
    ----------
    name, kind, dtype
        Name of the column, what it holds, and its pandas dtype.
    categories, ordered
        Of a category: its categories in order. Codes must mean in every batch what they meant in training.
    form
        How children that take frames see it, whatever a later table brings: a NumPy dtype (integers and booleans where
        training had no null, else float64), a timestamp's unit and zone, "text" or "category".
    null_texts
        Of numbers that stood among odd fields (`metamodel.tables.text_checks`): the texts that are null. Then numbers
        are read from texts, too.
    """

    name: str
    kind: FeatureKind
    dtype: str
    categories: tuple[Any, ...] = ()
    ordered: bool = False
    form: str = "float64"
    null_texts: tuple[str, ...] = ()

    @classmethod
    def infer(cls, name: str, values: pd.Series) -> Self:
        """Record a column of the training table.

        Raises
        ------
        InputError
            The categories of a category column are no strings, numbers or booleans, or timestamps with a time zone
            stand beside some without one.
        """
        dtype = str(values.dtype)
        values = without_arrow(values)
        kind = column_kind(values)
        if kind != "category":
            return cls(name, kind, dtype, form=_form(name, kind, values))
        categories = tuple(values.cat.categories.tolist())
        if odd := [value for value in categories if not isinstance(value, str | int | float | bool)]:
            raise InputError(
                f"Feature column {name!r} has the category {short(odd[0])}, which is no string, number or boolean. "
                "Convert the categories, or leave the column out of features."
            )
        return cls(name, kind, "category", categories, bool(values.cat.ordered), "category")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of `dataclasses.asdict`, JSON in between."""
        return cls(**{**data, **{name: tuple(data.get(name, ())) for name in ("categories", "null_texts")}})

    @property
    def is_whole(self) -> bool:
        """Whether children that take frames see integers or booleans, which cannot hold a null or a fraction."""
        return self.form == "bool" or self.form.lstrip("u").startswith("int")

    @cached_property
    def level_kind(self) -> LevelKind:
        """What the categories are, one and all."""
        kinds = set(map(type, self.categories))
        for kind, allowed in _LEVELS.items():
            if kinds <= allowed:
                return kind
        return "mixed"


_LEVELS: dict[LevelKind, set[type]] = {
    "text": {str},
    "boolean": {bool},
    "integer": {int},
    "number": {int, float},
}


def _form(name: str, kind: FeatureKind, values: pd.Series) -> str:
    if kind == "timestamp":
        return _timestamp_form(name, values)
    if kind not in ("number", "boolean"):
        return "text"
    if values.isna().any():  # an integer or a boolean cannot be null
        return _float_form(values)
    if kind == "boolean":
        return "bool"
    if values.dtype == object:
        return _object_form(values)
    dtype = getattr(values.dtype, "numpy_dtype", values.dtype)
    return str(dtype) if dtype.kind in "iu" else _float_form(values)


def _float_form(values: pd.Series) -> str:
    dtype = getattr(values.dtype, "numpy_dtype", values.dtype)
    return str(dtype) if str(dtype) in ("float16", "float32") else "float64"


def _object_form(values: pd.Series) -> str:
    if types.infer_dtype(values) != "integer":
        return "float64"
    low, high = int(values.min()), int(values.max())
    if low >= -(2**63) and high < 2**63:
        return "int64"
    return "uint64" if low >= 0 and high < 2**64 else "float64"


def _timestamp_form(name: str, values: pd.Series) -> str:
    if types.is_datetime64_any_dtype(values.dtype):
        return _named(values.dt.unit, () if values.dt.tz is None else [str(values.dt.tz)])
    given = [value.tzinfo if isinstance(value, dt.datetime) else None for value in values.dropna()]
    if len({zone is None for zone in given}) > 1:
        raise InputError(
            f"Feature column {name!r} holds timestamps with a time zone beside some without one. "
            "Give all of them a zone, or none, or leave the column out of features."
        )
    return _named("us", {str(zone) for zone in given if zone is not None})


def _named(unit: str, zones: Iterable[str]) -> str:
    """Name a dtype of timestamps; several zones, or one that has no name, become UTC."""
    zones = list(zones)
    if not zones:
        return f"datetime64[{unit}]"
    try:
        named = pd.DatetimeTZDtype(unit, zones[0]) if len(zones) == 1 else None
    except (TypeError, ValueError, KeyError):
        named = None
    return str(named or pd.DatetimeTZDtype(unit, "UTC"))
