"""Which estimator to fit: names, dotted paths and objects resolved to one unfitted scikit-learn estimator.

A name stands for the plain scikit-learn class, behind what the table and the class need
(`metamodel.fitting.preprocessing`); an estimator given as an object is never touched but for its seed.
"""

import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor

from metamodel.common.extras import install_command
from metamodel.common.messages import did_you_mean
from metamodel.exceptions import InputError, UnknownEstimator
from metamodel.fitting.cloning import cloneable
from metamodel.fitting.estimator_info import has_method
from metamodel.fitting.spec import TaskName

__all__ = ["NAMED", "resolve", "task_of"]

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
    "xgboost": ("xgboost.XGBRegressor", "metamodel.fitting.xgboost_classifier.XGBClassifier"),
    "dummy": ("sklearn.dummy.DummyRegressor", "sklearn.dummy.DummyClassifier"),
}

# What a name sets beside the class's own defaults: XGBoost would take every core in every process.
_NAMED_PARAMS: dict[str, dict[str, Any]] = {"xgboost": {"n_jobs": 1}}

# Packages that a name needs and that are extras.
_EXTRAS = {"xgboost": "xgboost"}


def task_of(estimator: object, target_is_numeric: bool, params: Mapping[str, Any] | None = None) -> TaskName:
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
    guess: TaskName = "regression" if target_is_numeric else "classification"
    if isinstance(estimator, str) and estimator in NAMED:
        regressor, classifier = NAMED[estimator]
        return "regression" if classifier is None else "classification" if regressor is None else guess
    instance = estimator
    if isinstance(estimator, str):
        instance = _from_path(estimator, dict(params or {}))
    elif isinstance(estimator, type):
        instance = _construct(estimator, dict(params or {}))
    if not hasattr(instance, "__sklearn_tags__"):  # an estimator that follows scikit-learn without deriving from it
        return guess
    try:
        if is_classifier(instance):
            return "classification"
        return "regression" if is_regressor(instance) else guess
    except (AttributeError, TypeError):  # its tags lead to one that does
        return guess


def resolve(
    estimator: object, params: Mapping[str, Any] | None, task: TaskName, random_state: int | None
) -> BaseEstimator:
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
    if hasattr(built, "get_params"):  # parameters too may be such that it could not be copied for each group
        built = _checked_clone(built)
    for name in ("fit", "predict"):
        if not has_method(built, name):
            raise UnknownEstimator(
                f"{type(built).__module__}.{type(built).__qualname__} has no method {name!r}, so it is no estimator. "
                "Give a scikit-learn style regressor, classifier or pipeline."
            )
    _seed(built, random_state)
    return built


def _path_of_name(name: str, task: TaskName) -> str:
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
    remedy = f"Known names: {', '.join(sorted(NAMED))}. Or give a dotted path such as sklearn.linear_model.Ridge."
    if not module_name:
        raise UnknownEstimator(f"There is no estimator named {path!r}. {remedy}{did_you_mean(path, NAMED)}")
    try:
        estimator_class = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        if extra := _EXTRAS.get(getattr(error, "name", None) or ""):
            raise UnknownEstimator(
                f"Estimator {path!r} needs a package that is not installed ({error}). Run: {install_command(extra)}."
            ) from error
        there = vars(sys.modules.get(module_name, object))
        raise UnknownEstimator(
            f"Estimator {path!r} cannot be imported ({error}). {remedy}{did_you_mean(attribute, there)}"
        ) from error
    if not isinstance(estimator_class, type):
        raise UnknownEstimator(f"{path!r} is a {type(estimator_class).__name__}, not a class. {remedy}")
    return _construct(estimator_class, params)


def _construct(cls: type, params: dict[str, Any]) -> Any:
    try:
        return cls(**params)
    except TypeError as error:
        known = _parameters(cls)
        meant = did_you_mean([name for name in params if name not in known], known)
        raise InputError(
            f"{cls.__name__} cannot be built with {params}: {error}. Correct estimator_params.{meant}"
        ) from error


def _parameters(cls: type) -> list[str]:
    try:
        return list(inspect.signature(cls).parameters)
    except ValueError:  # a class that is written in C need not say
        return []


def _checked_clone(estimator: object) -> Any:
    try:
        return cloneable(estimator)
    except (TypeError, RuntimeError) as error:
        raise UnknownEstimator(
            f"A {type(estimator).__name__} is no estimator: scikit-learn cannot clone it. "
            "Give a name, a dotted path, or an object with get_params, fit and predict."
        ) from error


def _set_params(estimator: Any, params: dict[str, Any]) -> Any:
    try:
        return estimator.set_params(**params)
    except ValueError as error:
        first_line = str(error).splitlines()[0]
        known = estimator.get_params()
        meant = did_you_mean([name for name in params if name not in known], known)
        raise InputError(f"{type(estimator).__name__} does not take these parameters: {first_line}{meant}") from error


def _seed(estimator: Any, random_state: int | None) -> None:
    if random_state is None or not hasattr(estimator, "get_params"):
        return
    unset = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    estimator.set_params(**dict.fromkeys(unset, random_state))
