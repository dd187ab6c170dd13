"""The target column: whether it is a quantity or a label, and the form in which estimators take it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray, as_objects
from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.tables.arrow import without_arrow

__all__ = ["TargetInfo", "is_quantity", "read_target"]

# What pandas calls columns of numbers, whatever their dtype.
_QUANTITIES = {"integer", "floating", "mixed-integer-float", "decimal", "timedelta", "timedelta64"}

_LARGEST_LABEL = 2**63


@dataclass(frozen=True)
class TargetInfo:
    """The target column, brought to the form that estimators take."""

    values: AnyArray
    dtype: str
    label_kind: str | None
    classes: tuple[Any, ...]

    def convert(self, values: pd.Series) -> AnyArray:
        """Bring other values of the same column to the same form."""
        return _labels(values) if self.values.dtype == object else _numbers(values)


def is_quantity(values: pd.Series) -> bool:
    """Whether a target holds numbers or durations, by its values where its dtype does not say so.

    Examples
    --------
    >>> from decimal import Decimal
    >>> is_quantity(pd.Series([Decimal(1), None])), is_quantity(pd.Series(["1", "2"])), is_quantity(pd.Series([True]))
    (True, False, False)
    """
    values = without_arrow(values)
    if isinstance(values.dtype, pd.CategoricalDtype) or types.is_bool_dtype(values.dtype):
        return False
    return bool(types.is_numeric_dtype(values.dtype)) or types.infer_dtype(values, skipna=True) in _QUANTITIES


def read_target(values: pd.Series, task: Literal["regression", "classification"]) -> TargetInfo:
    """Bring the target of the training table to the form that estimators take.

    Durations become nanoseconds, whatever unit the table holds them in.

    Raises
    ------
    InputError
        It has no value, or values that are no numbers (for a regressor) or no labels (for a classifier).
    """
    if values.isna().all():
        raise InputError(f"The target {values.name!r} is null in every row. Name a column with values to learn from.")
    values = without_arrow(values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if task == "regression":
        return TargetInfo(_numbers(values), "float64", None, ())
    inferred = types.infer_dtype(values, skipna=True)
    kinds = {"string": ("string", "object"), "boolean": ("boolean", "bool"), "integer": ("integer", "int64")}
    if inferred in ("floating", "mixed-integer-float", "decimal"):
        numbers = _numbers(values)
        whole = bool(np.all(np.isnan(numbers) | (numbers == np.round(numbers))))
        kind, dtype = ("integer", "int64") if whole else ("number", "float64")
        return TargetInfo(numbers, dtype, kind, tuple(np.unique(numbers[~np.isnan(numbers)].astype(dtype)).tolist()))
    if inferred not in kinds:
        raise InputError(
            f"The target {values.name!r} holds {inferred} values, which are no class labels. "
            "Convert it to strings, integers or booleans of one kind."
        )
    kind, dtype = kinds[inferred]
    classes = sorted(values.dropna().unique().tolist())
    if kind == "integer" and not -_LARGEST_LABEL <= classes[0] <= classes[-1] < _LARGEST_LABEL:
        raise InputError(
            f"The target {values.name!r} has labels beyond 64-bit integers (from {classes[0]} to {classes[-1]}). "
            "Convert it to strings."
        )
    return TargetInfo(_labels(values), dtype, kind, tuple(classes))


def _labels(values: pd.Series) -> AnyArray:
    return as_objects(without_arrow(values), None)


def _numbers(values: pd.Series) -> AnyArray:
    values = without_arrow(values)
    inferred = types.infer_dtype(values, skipna=True)
    if inferred in ("datetime64", "datetime", "date"):
        raise InputError(
            f"The target {values.name!r} holds timestamps, but a regressor predicts numbers. Name a numeric column."
        )
    if inferred == "complex":
        raise InputError(
            f"The target {values.name!r} holds complex numbers, which no estimator takes. Name its real part, or size."
        )
    if inferred in ("timedelta", "timedelta64"):
        # By hand: pandas makes a number of a missing duration, and counts in whatever unit the column has.
        nanoseconds = (pd.to_timedelta(values) / pd.Timedelta(1, "ns")).to_numpy(dtype=np.float64)
        return nanoseconds
    if inferred == "decimal":
        return as_objects(values, np.nan).astype(np.float64)
    try:
        return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"The target {values.name!r} is not numeric (first text: {short(_first_text(values.dropna()))}), "
            "but the estimator is a regressor. Name a numeric target, or use a classifier."
        ) from error


def _first_text(values: pd.Series) -> object:
    """Find what is no number: in a column of texts, numbers may be texts too."""
    for value in values:
        try:
            float(value)
        except (TypeError, ValueError):
            return value
    return values.iloc[0]
