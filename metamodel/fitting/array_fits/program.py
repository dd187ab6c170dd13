"""Which estimators can be fitted for many groups at once, and how: Ridge, LinearRegression, both behind a scaler.

Only these very classes, with the parameters whose way through scikit-learn's code is followed in `solvers`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.common.arrays import AnyArray
from metamodel.fitting.array_fits.solvers import Fitted, LeastSquares, RidgeCholesky, Standardized, solves_stacks
from metamodel.fitting.spec import FitSpec

__all__ = ["ArrayProgram", "program_of"]

_SCALER = "scaler."


@dataclass(frozen=True)
class ArrayProgram:
    """One candidate as an array program.

    Parameters
    ----------
    model
        What is fitted.
    scaled
        Whether a StandardScaler stands before it.
    """

    model: RidgeCholesky | LeastSquares
    scaled: bool

    def fit(self, x: AnyArray, y: AnyArray) -> Fitted:
        """Fit a stack of shapes (n_stacked, n_features, n_rows) and (n_stacked, n_rows)."""
        if not self.scaled:
            return self.model.fit(x, y)
        scaler = Standardized.of(x)
        fitted = self.model.fit(scaler.transform(x), y)
        of_scaler = {f"{_SCALER}{name}": values for name, values in scaler.numbers.items()}
        return Fitted(of_scaler | fitted.numbers, fitted.done, fitted.kinds)

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


def program_of(spec: FitSpec) -> ArrayProgram | None:
    """Find the array program of what shall be fitted, or None where each group is fitted by itself.

    Examples
    --------
    >>> from metamodel.fitting.spec import Candidate
    >>> def of(estimator):
    ...     return program_of(FitSpec("regression", (Candidate("one", estimator, "", "{}"),)))
    >>> of(Ridge(2.0)).model, of(Ridge(solver="svd"))
    (RidgeCholesky(alpha=2.0, fit_intercept=True), None)
    """
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
    return None if model is None else ArrayProgram(model, scaled)


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
