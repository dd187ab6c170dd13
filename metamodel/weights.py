"""Weights of rows: read from a column, and handed to estimators that take them."""

import inspect
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.exceptions import InputError
from metamodel.frames import AnyArray
from metamodel.wording import count

__all__ = ["check_takes_weights", "fit_weighted", "last_step", "row_weights"]


def row_weights(values: pd.Series) -> AnyArray:
    """Bring the weight column to numbers, shape (n_rows,).

    Raises
    ------
    InputError
        A weight is missing, negative, infinite or no number.

    Examples
    --------
    >>> row_weights(pd.Series([1.0, -2.0], name="w"))
    Traceback (most recent call last):
    metamodel.exceptions.InputError: Weight column 'w' has 1 value missing, infinite or below 0 (first: -2.0). ...
    """
    if not types.is_numeric_dtype(values.dtype) or types.is_complex_dtype(values.dtype):
        values = _numbers(values)
    weights: AnyArray = values.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        raise InputError(
            f"Weight column {values.name!r} has {count(int(bad.sum()), 'value')} missing, infinite or below 0 "
            f"(first: {weights[bad][0]}). Correct or remove these rows."
        )
    return weights


def _numbers(values: pd.Series) -> pd.Series:
    kind = types.infer_dtype(values)
    text = f"Weight column {values.name!r} holds {kind} values, which are no weights. Name a column of numbers."
    if kind.startswith(("datetime", "timedelta", "complex")):  # of which pandas makes nanoseconds, and real parts
        raise InputError(text)
    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError) as error:
        raise InputError(text) from error


def check_takes_weights(estimator: Any) -> None:
    """Insist on an estimator whose `fit` takes `sample_weight` (of a pipeline: that of its last step).

    Raises
    ------
    InputError
        It does not.
    """
    last = last_step(estimator)
    parameters = inspect.signature(last.fit).parameters.values()
    if not any(one.name == "sample_weight" or one.kind is one.VAR_KEYWORD for one in parameters):
        raise InputError(
            f"{type(last).__name__} takes no weights, but sample_weight names a column. "
            "Choose another estimator, or train without weights."
        )


def fit_weighted(estimator: Any, x: Any, y: AnyArray, weights: AnyArray | None, **options: Any) -> Any:
    """Fit an estimator, with options of its `fit`; weights go to a pipeline's last step alone."""
    if weights is None:
        return estimator.fit(x, y, **options)
    steps = getattr(estimator, "steps", None)
    name = "sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight"
    return estimator.fit(x, y, **{name: weights}, **options)


def last_step(estimator: Any) -> Any:
    """Give the estimator at the end of a pipeline; of anything else, itself."""
    while getattr(estimator, "steps", None):
        estimator = estimator.steps[-1][1]
    return estimator
