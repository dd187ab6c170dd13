"""Which estimator to fit: names, dotted paths and objects resolved to one unfitted scikit-learn estimator.

A name stands for the plain scikit-learn class. Only where the table holds what that class cannot take (strings,
missing numbers) is it put behind an imputer and a one-hot encoder; an estimator given as an object is never touched
but for its seed.
"""

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils import get_tags

from metamodel.exceptions import InputError, UnknownEstimator
from metamodel.features import FeatureSchema
from metamodel.wording import listing

__all__ = [
    "NAMED",
    "Task",
    "describe",
    "packages",
    "prepare",
    "resolve",
    "takes_arrays",
    "task_of",
    "with_feature_names",
]

Task = Literal["regression", "classification"]

# name → (class for regression, class for classification); None where the name has only one task.
NAMED: dict[str, tuple[str | None, str | None]] = {
    "linear_regression": ("sklearn.linear_model.LinearRegression", None),
    "ridge": ("sklearn.linear_model.Ridge", None),
    "lasso": ("sklearn.linear_model.Lasso", None),
    "elastic_net": ("sklearn.linear_model.ElasticNet", None),
    "bayesian_ridge": ("sklearn.linear_model.BayesianRidge", None),
    "huber": ("sklearn.linear_model.HuberRegressor", None),
    "poisson": ("sklearn.linear_model.PoissonRegressor", None),
    "logistic_regression": (None, "sklearn.linear_model.LogisticRegression"),
    "gaussian_nb": (None, "sklearn.naive_bayes.GaussianNB"),
    "svm": ("sklearn.svm.SVR", "sklearn.svm.SVC"),
    "nearest_neighbors": ("sklearn.neighbors.KNeighborsRegressor", "sklearn.neighbors.KNeighborsClassifier"),
    "decision_tree": ("sklearn.tree.DecisionTreeRegressor", "sklearn.tree.DecisionTreeClassifier"),
    "random_forest": ("sklearn.ensemble.RandomForestRegressor", "sklearn.ensemble.RandomForestClassifier"),
    "extra_trees": ("sklearn.ensemble.ExtraTreesRegressor", "sklearn.ensemble.ExtraTreesClassifier"),
    "gradient_boosting": (
        "sklearn.ensemble.GradientBoostingRegressor",
        "sklearn.ensemble.GradientBoostingClassifier",
    ),
    "hist_gradient_boosting": (
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.ensemble.HistGradientBoostingClassifier",
    ),
    "xgboost": ("xgboost.XGBRegressor", "metamodel.boosting.XGBClassifier"),
    "dummy": ("sklearn.dummy.DummyRegressor", "sklearn.dummy.DummyClassifier"),
}


# What a name sets beside the class's own defaults: XGBoost would take every core in every process.
_NAMED_PARAMS: dict[str, dict[str, Any]] = {"xgboost": {"n_jobs": 1}}
# Packages that a name needs and that are extras.
_EXTRAS = {"xgboost": "xgboost"}


def task_of(estimator: object, target_is_numeric: bool, params: Mapping[str, Any] | None = None) -> Task:
    """Tell regression from classification.

    Parameters
    ----------
    estimator
        A name, a dotted path or an estimator.
    target_is_numeric
        Decides for names that serve both tasks and for estimators that do not say what they are.
    params
        As in `resolve`; a class may need them to be built at all.

    Examples
    --------
    >>> task_of("random_forest", target_is_numeric=False), task_of("ridge", target_is_numeric=True)
    ('classification', 'regression')
    """
    guess: Task = "regression" if target_is_numeric else "classification"
    if isinstance(estimator, str) and estimator in NAMED:
        regressor, classifier = NAMED[estimator]
        return "regression" if classifier is None else "classification" if regressor is None else guess
    instance = estimator
    if isinstance(estimator, str):
        instance = _from_path(estimator, dict(params or {}))
    elif isinstance(estimator, type):
        instance = _construct(estimator, dict(params or {}))
    try:
        if is_classifier(instance):
            return "classification"
        return "regression" if is_regressor(instance) else guess
    except (AttributeError, TypeError):  # an estimator that follows scikit-learn without deriving from it
        return guess


def resolve(estimator: object, params: Mapping[str, Any] | None, task: Task, random_state: int | None) -> BaseEstimator:
    """Build one unfitted estimator.

    Parameters
    ----------
    estimator
        A name of `NAMED`, a dotted path to a class, or an estimator object (a pipeline too), which is cloned.
    params
        Parameters to set, in scikit-learn's own spelling (``ridge__alpha`` reaches into a pipeline).
    task
        Which class a name stands for.
    random_state
        Set wherever the estimator has a `random_state` that is None, so that training can be repeated.

    Raises
    ------
    UnknownEstimator
        The name or path leads nowhere, or to something without `fit` and `predict`.
    InputError
        A parameter does not exist.

    Examples
    --------
    >>> resolve("ridge", {"alpha": 2.0}, "regression", random_state=0)
    Ridge(alpha=2.0, random_state=0)
    """
    params = dict(params or {})
    if isinstance(estimator, str):
        built = _from_path(_path_of_name(estimator, task), {**_NAMED_PARAMS.get(estimator, {}), **params})
    elif isinstance(estimator, type):
        built = _construct(estimator, params)
    else:
        built = _set_params(_checked_clone(estimator), params)
    for name in ("fit", "predict"):
        if not callable(getattr(built, name, None)):
            raise UnknownEstimator(
                f"{type(built).__module__}.{type(built).__qualname__} has no method {name!r}, so it is no estimator. "
                "Give a scikit-learn style regressor, classifier or pipeline."
            )
    _seed(built, random_state)
    return built


def prepare(estimator: BaseEstimator, features: FeatureSchema, missing: set[str]) -> BaseEstimator:
    """Put a named estimator behind what the table needs, and nothing else.

    Parameters
    ----------
    estimator
        The plain estimator that a name stood for.
    features
        The training table's features.
    missing
        Names of the features with missing values.

    Returns
    -------
    BaseEstimator
        The same estimator where every feature is a number it can take, else a pipeline: one-hot encoding of strings and
        categories, median imputation of missing numbers (unless the estimator handles them itself).
    """
    if dates := [feature.name for feature in features.features if feature.kind == "timestamp"]:
        raise InputError(
            f"Feature column {listing(map(repr, dates))} holds timestamps, which a named estimator cannot take. "
            f"Name it as the time column (time_column={dates[0]!r}), derive numbers from it (month, days since ...), "
            "or leave it out of features."
        )
    texts = [feature.name for feature in features.features if feature.kind in ("string", "category")]
    numbers = [name for name in features.names if name not in texts]
    takes_missing = bool(get_tags(estimator).input_tags.allow_nan)
    impute = bool(missing.intersection(numbers)) and not takes_missing
    if not texts and not impute:
        return estimator
    imputer = SimpleImputer(strategy="median", keep_empty_features=True) if impute else "passthrough"
    if not texts:
        return make_pipeline(imputer, estimator)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [("numbers", imputer, numbers), ("texts", encoder, texts)], verbose_feature_names_out=False
    )
    return make_pipeline(columns, estimator)


def takes_arrays(estimator: BaseEstimator) -> bool:
    """Whether an estimator surely gives the same results on a matrix as on a frame.

    True for scikit-learn's own (and XGBoost's and LightGBM's) estimators whose parts do not pick columns by name,
    unless the first one hands its input on to an estimator inside it (a grid search): that one would have to know the
    features' names when `MetaModel.child` hands the child out.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> takes_arrays(Ridge()), takes_arrays(make_pipeline(FunctionTransformer(), Ridge()))
    (True, False)
    """
    known = {"sklearn", "xgboost", "lightgbm"}
    first = _first_step(estimator)
    if first in ("passthrough", None) or len(list(_parts(first))) > 1:
        return False
    return all(
        _package(part) in known and not isinstance(part, ColumnTransformer | FunctionTransformer)
        for part in _parts(estimator)
    )


def packages(estimator: BaseEstimator) -> list[str]:
    """Top-level packages that an estimator and its parts come from.

    Examples
    --------
    >>> packages(make_pipeline(SimpleImputer(), OneHotEncoder()))
    ['sklearn']
    """
    return sorted({_package(part) for part in _parts(estimator)})


def describe(estimator: BaseEstimator) -> tuple[str, str]:
    """Name an estimator and give its non-default parameters as JSON, for the ledger.

    Examples
    --------
    >>> describe(resolve("ridge", {"alpha": 2.0}, "regression", None))
    ('Ridge', '{"alpha": 2.0}')
    """
    steps = getattr(estimator, "steps", None)
    name = type(estimator).__name__ if steps is None else " > ".join(type(step).__name__ for _, step in steps)
    return name, json.dumps(_changed_params(estimator), sort_keys=True, default=str)


def with_feature_names(estimator: Any, names: list[str]) -> Any:
    """Tell a child that was fitted on arrays its features' names, so that it takes a DataFrame without a warning.

    Where the names are a property that cannot be set (XGBoost's), the child is left as it is.
    """
    first = _first_step(estimator)
    if not hasattr(first, "feature_names_in_"):
        with suppress(AttributeError):
            first.feature_names_in_ = np.asarray(names, dtype=object)
    return estimator


def _path_of_name(name: str, task: Task) -> str:
    if name not in NAMED:
        return name
    path = NAMED[name][0 if task == "regression" else 1]
    if path is None:
        raise InputError(f"Estimator {name!r} does not do {task}. Choose another one, or convert the target.")
    return path


def _from_path(path: str, params: dict[str, Any]) -> Any:
    if path in NAMED:
        path = next(entry for entry in NAMED[path] if entry is not None)
    module_name, _, attribute = path.rpartition(".")
    known = f"Known names: {', '.join(sorted(NAMED))}. Or give a dotted path such as sklearn.linear_model.Ridge."
    if not module_name:
        raise UnknownEstimator(f"There is no estimator named {path!r}. {known}")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        if extra := _EXTRAS.get(getattr(error, "name", None) or ""):
            raise UnknownEstimator(
                f"Estimator {path!r} needs a package that is not installed ({error}). "
                f"Run: pip install 'metamodel[{extra}]'."
            ) from error
        raise UnknownEstimator(f"Estimator {path!r} cannot be imported ({error}). {known}") from error
    if not isinstance(found, type):
        raise UnknownEstimator(f"{path!r} is a {type(found).__name__}, not a class. {known}")
    return _construct(found, params)


def _construct(cls: type, params: dict[str, Any]) -> Any:
    try:
        return cls(**params)
    except TypeError as error:
        raise InputError(f"{cls.__name__} cannot be built with {params}: {error}. Correct estimator_params.") from error


def _checked_clone(estimator: object) -> Any:
    try:
        return clone(estimator)
    except TypeError as error:
        raise UnknownEstimator(
            f"A {type(estimator).__name__} is no estimator: scikit-learn cannot clone it. "
            "Give a name, a dotted path, or an object with get_params, fit and predict."
        ) from error


def _set_params(estimator: Any, params: dict[str, Any]) -> Any:
    try:
        return estimator.set_params(**params)
    except ValueError as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{type(estimator).__name__} does not take these parameters: {first_line}") from error


def _seed(estimator: Any, random_state: int | None) -> None:
    if random_state is None or not hasattr(estimator, "get_params"):
        return
    unset = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    estimator.set_params(**dict.fromkeys(unset, random_state))


def _parameter(cls: type, name: str) -> inspect.Parameter | None:
    """Find a parameter of a class, or of the base to which it hands on what it does not know (XGBoost's)."""
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters
        if name in parameters or not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return parameters.get(name)
    return None


def _first_step(estimator: Any) -> Any:
    while getattr(estimator, "steps", None):
        estimator = estimator.steps[0][1]
    return estimator


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


def _changed_params(estimator: Any) -> dict[str, Any]:
    if not hasattr(estimator, "get_params"):
        return {}
    params = estimator.get_params(deep=True)
    changed = {}
    for name, value in params.items():
        owner_name, _, own = name.rpartition("__")
        owner = params.get(owner_name) if owner_name else estimator
        parameter = _parameter(type(owner), own)
        if isinstance(value, np.ndarray):  # alphas=np.logspace(...)
            value = value.tolist()
        simple = value is None or isinstance(value, str | int | float | bool | list | tuple | dict)
        if not simple or parameter is None or own in ("steps", "transformers"):
            continue
        if value != parameter.default and str(value) != "nan":
            changed[name] = value
    return changed
