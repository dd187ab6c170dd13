"""What an estimator is made of: its steps, the packages they come from, and the parameters that were set."""

import inspect
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer

from metamodel.fitting.content import named_modules
from metamodel.prediction.child import first_step

__all__ = ["has_method", "label_and_params", "names_features", "packages", "takes_arrays"]

# Parameters that hold the estimator that answers in the end.
_HANDED_ON_TO = ("final_estimator", "estimator", "base_estimator")


def takes_arrays(estimator: BaseEstimator, features: Collection[str] = ()) -> bool:
    """Whether an estimator surely gives the same results on a matrix as on a frame.

    True for scikit-learn's own (and XGBoost's and LightGBM's) estimators whose parts do not pick columns by name,
    unless the first one hands its input on to an estimator inside it (a grid search): that one would have to know the
    features' names when `MetaModel.child` hands the child out.

    Parameters
    ----------
    estimator
        Unfitted.
    features
        The features' names, which its parameters may mention.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> takes_arrays(Ridge()), takes_arrays(make_pipeline(FunctionTransformer(), Ridge()))
    (True, False)
    """
    if names_features(estimator, features):
        return False
    known = {"sklearn", "xgboost", "lightgbm"}
    first = first_step(estimator)
    if first in ("passthrough", None) or len(list(_parts(first))) > 1:
        return False
    return all(
        _package(part) in known and not isinstance(part, ColumnTransformer | FunctionTransformer)
        for part in _parts(estimator)
    )


def names_features(estimator: Any, features: Collection[str]) -> bool:
    """Whether a parameter of an estimator, or of one of its parts, mentions a feature by its name.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> constrained = HistGradientBoostingRegressor(monotonic_cst={"price": -1})
    >>> names_features(constrained, ["price", "size"]), names_features(constrained, ["size"])
    (True, False)
    """
    if not features or not hasattr(estimator, "get_params"):
        return False
    names = set(features)
    return any(not names.isdisjoint(_texts(value)) for value in estimator.get_params(deep=True).values())


def has_method(estimator: Any, name: str) -> bool:
    """Whether an unfitted estimator has a method once it is fitted.

    What hands a method on to an estimator inside it (a stacking, a search, a pipeline) may not know before the fit
    whether it has it; then it is asked which one it hands on to.

    Examples
    --------
    >>> from sklearn.ensemble import StackingRegressor
    >>> from sklearn.linear_model import Ridge
    >>> stacking = StackingRegressor([("ridge", Ridge())])
    >>> has_method(stacking, "predict"), has_method(stacking, "predict_proba")
    (True, False)
    """
    if callable(getattr(estimator, name, None)):
        return True
    if not hasattr(type(estimator), name):  # on the class a method that depends is always there
        return False
    if steps := getattr(estimator, "steps", None):
        return has_method(steps[-1][1], name)
    given = [getattr(estimator, inner) for inner in _HANDED_ON_TO if hasattr(estimator, inner)]
    # Where none is given it makes one of its own kind, such as StackingClassifier's logistic regression.
    return bool(given) and (given[0] is None or has_method(given[0], name))


def packages(estimator: BaseEstimator) -> list[str]:
    """Top-level packages that an estimator and its parts come from, or that its caller's own code imports.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> packages(make_pipeline(StandardScaler(), FunctionTransformer()))
    ['sklearn']
    """
    named = {name for name in named_modules(estimator) if name not in ("metamodel", "builtins", "__main__")}
    return sorted({_package(part) for part in _parts(estimator)} | (named - sys.stdlib_module_names))


def label_and_params(estimator: BaseEstimator) -> tuple[str, str]:
    """Name an estimator and give its non-default parameters as JSON, for the ledger.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> label_and_params(Ridge(alpha=2.0))
    ('Ridge', '{"alpha": 2.0}')
    """
    steps = getattr(estimator, "steps", None)
    name = type(estimator).__name__ if steps is None else " > ".join(type(step).__name__ for _, step in steps)
    return name, json.dumps(_changed_params(estimator), sort_keys=True, default=str)


def _parameter(cls: type, name: str) -> inspect.Parameter | None:
    """Find a parameter of a class, or of the base to which it hands on what it does not know (XGBoost's)."""
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters
        if name in parameters or not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return parameters.get(name)
    return None


def _package(part: Any) -> str:
    """Top-level package that an estimator's class comes from; our own classes only adapt those of others."""
    names = [cls.__module__.partition(".")[0] for cls in type(part).__mro__]
    return next(name for name in names if name != "metamodel")


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    if hasattr(estimator, "get_params"):
        for value in estimator.get_params(deep=True).values():
            if callable(getattr(value, "fit", None)) and not isinstance(value, type):
                yield value


def _texts(value: Any) -> Iterator[str]:
    """Every text in a parameter; of CatBoost's and LightGBM's lists in one text ("name:kind,size") each entry."""
    if isinstance(value, str):
        yield value
        yield from (entry for text in value.removeprefix("name:").split(",") for entry in (text, text.split(":")[0]))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from (*_texts(name), *_texts(item))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)
    elif (isinstance(value, np.ndarray) and value.dtype.kind in "OUT") or isinstance(value, pd.Index):
        yield from _texts(value.tolist())


def _changed_params(estimator: Any) -> dict[str, Any]:
    if not hasattr(estimator, "get_params"):
        return {}
    params = estimator.get_params(deep=True)
    changed = {}
    for name, value in params.items():
        owner_name, _, parameter_name = name.rpartition("__")
        owner = params.get(owner_name) if owner_name else estimator
        parameter = _parameter(type(owner), parameter_name)
        if isinstance(value, np.ndarray):  # alphas=np.logspace(...)
            value = value.tolist()
        simple = value is None or isinstance(value, str | int | float | bool | list | tuple | dict)
        if not simple or parameter is None or parameter_name in ("steps", "transformers"):
            continue
        if value != parameter.default and str(value) != "nan":
            changed[name] = value
    return changed
