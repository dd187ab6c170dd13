"""Which estimators can be fitted for many groups at once, and how: Ridge, LinearRegression, both behind a scaler.

Only these very classes, with the parameters whose way through scikit-learn's code is followed in `solvers`.
"""

from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.common.arrays import AnyArray
from metamodel.fitting.array_fits.solvers import Fitted, LeastSquares, RidgeCholesky, Standardized, solves_stacks
from metamodel.fitting.spec import FitSpec

__all__ = ["ArrayProgram", "LinearAnswers", "answers_of", "program_of"]

_SCALER = "scaler."

# What a training may be asked for; anything else has to be as it is where nothing is asked for.
_UNDERSTOOD = {
    *("task", "candidates", "holdout", "min_rows", "target_dtype", "split", "metric", "season", "drop_duplicates"),
    *("spread_copies", "group_seconds", "skip", "overrides", "tuning", "settings"),
}


@dataclass(frozen=True)
class LinearAnswers:
    """How linear children answer, from their numbers.

    Parameters
    ----------
    scaled
        Whether a StandardScaler stands before the model.
    """

    scaled: bool

    def transformed(self, numbers: dict[str, AnyArray], x: AnyArray) -> AnyArray:
        """Bring rows of shape (n_stacked, n_rows, n_features) to what the model itself sees."""
        if not self.scaled:
            return x
        mean, scale = numbers[f"{_SCALER}mean_"], numbers[f"{_SCALER}scale_"]
        return (x - mean[:, None, :]) / scale[:, None, :]

    def predict(self, numbers: dict[str, AnyArray], x: AnyArray) -> AnyArray:
        """Predict rows of shape (n_stacked, n_rows, n_features); returns (n_stacked, n_rows)."""
        intercept = numbers["intercept_"][:, None] if "intercept_" in numbers else 0.0
        predicted: AnyArray = (self.transformed(numbers, x) @ numbers["coef_"][:, :, None])[:, :, 0] + intercept
        return predicted

    def holder(self, child: Any, name: str) -> tuple[Any, str]:
        """Find where a fitted child holds a number: the step, and the attribute."""
        if name.startswith(_SCALER):
            return child.steps[0][1], name.removeprefix(_SCALER)
        return (child.steps[-1][1] if self.scaled else child), name

    def holders(self, child: Any) -> dict[str, tuple[Any, str]]:
        """Find all numbers that a fitted child holds as NumPy's."""
        parts = [(_SCALER, child.steps[0][1]), ("", child.steps[-1][1])] if self.scaled else [("", child)]
        return {
            f"{prefix}{name}": (part, name)
            for prefix, part in parts
            for name, value in vars(part).items()
            if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fi"
        }


@dataclass(frozen=True)
class ArrayProgram(LinearAnswers):
    """One candidate as an array program.

    Parameters
    ----------
    model
        What is fitted.
    """

    model: RidgeCholesky | LeastSquares

    def fit(self, x: AnyArray, y: AnyArray) -> Fitted:
        """Fit a stack of shapes (n_stacked, n_features, n_rows) and (n_stacked, n_rows)."""
        if not self.scaled:
            return self.model.fit(x, y)
        scaler = Standardized.of(x)
        fitted = self.model.fit(scaler.transform(x), y)
        of_scaler = {f"{_SCALER}{name}": values for name, values in scaler.numbers.items()}
        return Fitted(of_scaler | fitted.numbers, fitted.done, fitted.kinds)


def answers_of(child: Any) -> LinearAnswers | None:
    """Find how a fitted child answers, or None where it has to be asked itself.

    Examples
    --------
    >>> answers_of(Ridge().fit([[0.0], [1.0]], [1.0, 2.0])), answers_of(Ridge())
    (LinearAnswers(scaled=False), None)
    """
    scaled, model = False, child
    if type(child) is Pipeline:
        steps = [step for _, step in child.steps]
        if len(steps) != 2 or type(steps[0]) is not StandardScaler or not (steps[0].with_mean and steps[0].with_std):
            return None
        scaled, model = True, steps[1]
    coef, intercept = getattr(model, "coef_", None), getattr(model, "intercept_", None)
    if type(model) not in (Ridge, LinearRegression) or not isinstance(coef, np.ndarray):
        return None
    # Without an intercept it is a number of Python's, 0.0.
    plain = coef.ndim == 1 and coef.dtype == np.float64 and (type(intercept) is np.float64 or intercept == 0)
    return LinearAnswers(scaled) if plain else None


def program_of(spec: FitSpec) -> ArrayProgram | None:
    """Find the array program of what shall be fitted, or None where each group is fitted by itself.

    Examples
    --------
    >>> from metamodel.fitting.spec import Candidate
    >>> def of(estimator):
    ...     return program_of(FitSpec("regression", (Candidate("one", estimator, "", "{}"),)))
    >>> of(Ridge(solver="svd")) is None  # with "cholesky" there is a program, where SciPy is 1.17 or newer
    True
    """
    if any(getattr(spec, one.name) != _default(one) for one in fields(spec) if one.name not in _UNDERSTOOD):
        return None
    judged_once = spec.split.kind == "holdout" and len(spec.candidates) == 1 and spec.tuning is None
    plain = not spec.settings and spec.group_seconds is None and not spec.skip and spec.target_dtype == "float64"
    if spec.task != "regression" or not (judged_once and plain):
        return None
    estimator, scaled = spec.candidates[0].estimator, False
    if type(estimator) is Pipeline:
        if not _is_plain_scaling(estimator):
            return None
        estimator, scaled = estimator.steps[-1][1], True
    model = _model(estimator)
    return None if model is None else ArrayProgram(scaled, model)


def _is_plain_scaling(pipeline: Pipeline) -> bool:
    params = pipeline.get_params(deep=False)
    others = {name: value for name, value in params.items() if name not in ("steps", "verbose")}
    steps = [step for _, step in pipeline.steps]
    return (
        all(value is None for value in others.values())
        and pipeline.verbose is False
        and len(steps) == 2
        and type(steps[0]) is StandardScaler
        and _is_default(steps[0])
    )


def _model(estimator: Any) -> RidgeCholesky | LeastSquares | None:
    if type(estimator) is Ridge and _is_default(estimator, "alpha", "fit_intercept", "solver", "random_state"):
        # The seed is for the solvers "sag" and "saga".
        known = type(estimator.alpha) in (int, float) and 0 <= estimator.alpha < np.inf
        known = known and type(estimator.fit_intercept) is bool
        if known and estimator.solver in ("auto", "cholesky") and solves_stacks():
            return RidgeCholesky(float(estimator.alpha), estimator.fit_intercept)
    # Before scikit-learn 1.7 LinearRegression had no `tol`, and another cut-off of small singular values.
    if type(estimator) is LinearRegression and hasattr(estimator, "tol") and _is_default(estimator, "fit_intercept"):
        return LeastSquares(estimator.tol, estimator.fit_intercept) if type(estimator.fit_intercept) is bool else None
    return None


def _is_default(estimator: Any, *free: str) -> bool:
    """Whether all parameters but some are as the class has them, and nothing else was set on the estimator."""
    given, default = vars(estimator), vars(type(estimator)())
    return given.keys() == default.keys() and all(
        given[name] is default[name] or (type(given[name]) is float and given[name] == default[name])
        for name in default
        if name not in free
    )


def _default(field: "Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
