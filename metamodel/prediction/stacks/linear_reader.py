"""Read a linear child's numbers: what scikit-learn's own `predict` computes from them.

The formulas are those of scikit-learn 1.6 to 1.9: ``linear_model/_base.py`` (LinearModel, LinearClassifierMixin),
``linear_model/_glm/glm.py``, ``linear_model/_logistic.py``, ``linear_model/_stochastic_gradient.py``,
``preprocessing/_data.py`` and ``impute/_base.py``. Only these very classes count: a subclass may predict otherwise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import linear_model
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from metamodel.common.arrays import AnyArray
from metamodel.prediction.stacks.linear import LinearForm
from metamodel.prediction.stacks.step_reader import imputer_problem

__all__ = ["LINEAR", "linear_form"]

_IDENTITY = (
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.Lasso,
    linear_model.ElasticNet,
    linear_model.BayesianRidge,
    linear_model.HuberRegressor,
    linear_model.SGDRegressor,
)

_GENERALIZED = (linear_model.PoissonRegressor, linear_model.GammaRegressor, linear_model.TweedieRegressor)

_CLASSIFIERS = (linear_model.LogisticRegression, linear_model.SGDClassifier)

LINEAR = (*_IDENTITY, *_GENERALIZED, *_CLASSIFIERS)


def linear_form(child: Any, n_features: int) -> LinearForm | str:
    """Read a child, or say why it cannot be stacked as a linear one.

    Examples
    --------
    >>> child = linear_model.LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> linear_form(child, 1).link
    'identity'
    >>> linear_form(StandardScaler(), 1)
    'no stack for StandardScaler'
    """
    steps = [step for _, step in child.steps] if type(child) is Pipeline else [child]
    steps = [step for step in steps if step is not None and not isinstance(step, str)]
    link = _link(steps[-1]) if steps else ""
    if not link:
        return f"no stack for {type(steps[-1]).__name__ if steps else 'an empty pipeline'}"
    slope, intercept = np.atleast_2d(np.asarray(steps[-1].coef_)), np.ravel(steps[-1].intercept_).astype(np.float64)
    classes = tuple(steps[-1].classes_.tolist()) if link in ("classes", "ovr", "labels") else ()
    n_scores = len(classes) if len(classes) > 2 else 1
    if slope.shape != (n_scores, n_features) or slope.dtype != np.float64:
        return f"coefficients of shape {slope.shape} and type {slope.dtype}"
    if len(intercept) == 1:
        intercept = np.repeat(intercept, n_scores)
    steps_before = _transform(steps[:-1], n_features)
    if isinstance(steps_before, str):
        return steps_before
    shift = slope @ steps_before.offset if steps_before.scaled else 0.0
    centre = steps_before.centre if steps_before.scaled else None
    return LinearForm(link, slope * steps_before.scale, intercept + shift, centre, steps_before.fill, classes)


def _link(model: Any) -> str:
    if type(model) in _IDENTITY:
        return "identity"
    if type(model) in _GENERALIZED:
        tweedie = type(model) is linear_model.TweedieRegressor
        identity = tweedie and (model.link == "identity" or (model.link == "auto" and model.power <= 0))
        return "identity" if identity else "log"
    if type(model) in _CLASSIFIERS:
        several = len(model.classes_) > 2
        if type(model) is linear_model.SGDClassifier:
            return "labels" if model.loss != "log_loss" else "ovr" if several else "classes"
        return "ovr" if several and model.solver == "liblinear" else "classes"
    return ""


@dataclass(frozen=True)
class _Transform:
    """``scale · (x − centre) + offset`` a feature, after missing values were filled."""

    scale: AnyArray
    centre: AnyArray
    offset: AnyArray
    fill: AnyArray | None = None
    scaled: bool = False

    def then(self, scale: AnyArray, centre: AnyArray, offset: AnyArray | float = 0.0) -> "_Transform":
        if not self.scaled:
            return _Transform(scale, centre, np.zeros(len(scale)) + offset, self.fill, True)
        return _Transform(self.scale * scale, self.centre, scale * (self.offset - centre) + offset, self.fill, True)


def _transform(steps: list[Any], n_features: int) -> _Transform | str:
    result = _Transform(np.ones(n_features), np.zeros(n_features), np.zeros(n_features))
    for step in steps:
        problem = ""
        if type(step) is StandardScaler:
            mean = step.mean_ if step.with_mean else np.zeros(n_features)
            result = result.then(1 / step.scale_ if step.with_std else np.ones(n_features), mean)
        elif type(step) is MinMaxScaler:
            problem = "a MinMaxScaler that clips" if step.clip else ""
            result = result.then(step.scale_, step.data_min_, step.feature_range[0])
        elif type(step) is SimpleImputer:
            behind = result.scaled or result.fill is not None
            problem = "an imputer behind another step" if behind else imputer_problem(step)
            result = _Transform(result.scale, result.centre, result.offset, step.statistics_.astype(np.float64))
        else:
            problem = f"no stack for {type(step).__name__}"
        if problem:
            return problem
    return result
