"""Linear models of many groups: the calls of BLAS and LAPACK that scikit-learn makes for each of them, in its order.

The formulas are those of scikit-learn 1.6 to 1.9: ``linear_model/_base.py`` (`_preprocess_data`, LinearRegression),
``linear_model/_ridge.py`` (`_solve_cholesky`, `_solve_cholesky_kernel`) and ``preprocessing/_data.py``. A stack has the
shape (n_stacked, n_features, n_rows): each group's matrix lies column by column, as `fit_candidate` hands it over, so
that every sum is added up in the same order. Whether the bits are the same is not taken on trust; see
`metamodel.training.engines.array_groups`.
"""

import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy import linalg

from metamodel.common.arrays import AnyArray, BoolArray

__all__ = ["Fitted", "LeastSquares", "RidgeCholesky", "Standardized", "solves_stacks"]


@dataclass(frozen=True)
class Fitted:
    """What was fitted for the groups of a stack.

    Attributes
    ----------
    numbers
        Attribute of the fitted model → its value for each group, shape (n_stacked, ...).
    done
        Shape (n_stacked,): False where the numbers mean nothing, because scikit-learn warns or goes another way.
    kinds
        Shape (n_stacked, n_marks): attributes that are no arrays, such as a rank, and lengths.
    """

    numbers: dict[str, AnyArray]
    done: BoolArray
    kinds: AnyArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))


@cache
def solves_stacks() -> bool:
    """Whether SciPy's `solve` takes stacks of matrices, each of which it solves as it solves one (since 1.17)."""
    a = np.array([[[2.0, 1.0], [1.0, 3.0]], [[4.0, 1.0], [1.0, 5.0]]])
    b = np.ones((2, 2, 1))
    try:
        together = linalg.solve(a, b, assume_a="pos")
    except Exception:  # noqa: BLE001 - an earlier SciPy says so in one way or another
        return False
    return np.array_equal(together, [linalg.solve(one, of, assume_a="pos") for one, of in zip(a, b, strict=True)])


@dataclass(frozen=True)
class RidgeCholesky:
    """Ridge with the solver "cholesky": the primal problem, or the dual one of more features than rows."""

    alpha: float
    fit_intercept: bool

    def fit(self, x: AnyArray, y: AnyArray) -> Fitted:
        """Fit a stack; `x` has shape (n_stacked, n_features, n_rows), `y` (n_stacked, n_rows)."""
        x, y, x_mean, y_mean = _centred(x, y, self.fit_intercept)
        n_features, n_rows = x.shape[1:]
        dual = n_features > n_rows
        matrix = x.transpose(0, 2, 1) @ x if dual else x @ x.transpose(0, 2, 1)
        right = y[:, :, None] if dual else x @ y[:, :, None]
        diagonal = np.arange(matrix.shape[1])
        matrix[:, diagonal, diagonal] += self.alpha
        solution, done = _solved(matrix, right)
        coef = np.ascontiguousarray((x @ solution if dual else solution)[:, :, 0])
        return Fitted(_with_intercept(coef, x_mean, y_mean, self.fit_intercept), done)


@dataclass(frozen=True)
class LeastSquares:
    """LinearRegression: LAPACK's gelsd, one group after the other."""

    tol: float
    fit_intercept: bool

    def fit(self, x: AnyArray, y: AnyArray) -> Fitted:
        """Fit a stack, as `RidgeCholesky.fit`."""
        x, y, x_mean, y_mean = _centred(x, y, self.fit_intercept)
        n_stacked, n_features, n_rows = x.shape
        gelsd, query = linalg.get_lapack_funcs(("gelsd", "gelsd_lwork"), (x, y))
        work, integers, failed = query(n_rows, n_features, 1, self.tol)
        right = np.zeros((n_stacked, max(n_rows, n_features)))
        right[:, :n_rows] = y
        coef, rank = np.empty((n_stacked, n_features)), np.empty(n_stacked, dtype=np.int64)
        singular = np.zeros((n_stacked, n_features))
        done = np.ones(n_stacked, dtype=bool)
        for i in range(n_stacked):
            solution, values, rank[i], info = gelsd(x[i].T, right[i], int(work), integers, self.tol, False, False)
            coef[i], singular[i, : len(values)] = solution[:n_features], values
            done[i] = info == 0 and failed == 0
        length = np.full(n_stacked, min(n_features, n_rows))
        numbers = {"singular_": singular, **_with_intercept(coef, x_mean, y_mean, self.fit_intercept)}
        return Fitted(numbers, done, np.column_stack([rank, length]))


@dataclass(frozen=True)
class Standardized:
    """StandardScaler, by which a stack is centred and scaled before it is fitted."""

    mean: AnyArray
    var: AnyArray
    scale: AnyArray
    rows: int

    @classmethod
    def of(cls, x: AnyArray) -> "Standardized":
        """Fit a stack of shape (n_stacked, n_features, n_rows)."""
        rows = float(x.shape[2])
        total = x.sum(axis=2)
        apart = x - (total / rows)[:, :, None]
        correction = apart.sum(axis=2)
        apart **= 2
        var = (apart.sum(axis=2) - correction**2 / rows) / rows
        mean = (0.0 + total) / rows
        eps = np.finfo(np.float64).eps
        constant = var <= rows * eps * var + (rows * mean * eps) ** 2
        return cls(mean, var, np.where(constant, 1.0, np.sqrt(var)), x.shape[2])

    def transform(self, x: AnyArray) -> AnyArray:
        """Centre and scale a stack of shape (n_stacked, n_features, n_rows)."""
        return (x - self.mean[:, :, None]) / self.scale[:, :, None]

    @property
    def numbers(self) -> dict[str, AnyArray]:
        """Attributes of the fitted scalers."""
        seen = np.full(len(self.mean), float(self.rows))
        return {"mean_": self.mean, "var_": self.var, "scale_": self.scale, "n_samples_seen_": seen}


def _centred(x: AnyArray, y: AnyArray, wanted: bool) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    if not wanted:
        return x, y, np.zeros(x.shape[:2]), np.zeros(len(y))
    x_mean, y_mean = x.mean(axis=2), y.mean(axis=1)
    return x - x_mean[:, :, None], y - y_mean[:, None], x_mean, y_mean


def _with_intercept(coef: AnyArray, x_mean: AnyArray, y_mean: AnyArray, wanted: bool) -> dict[str, AnyArray]:
    if not wanted:
        return {"coef_": coef}
    return {"coef_": coef, "intercept_": y_mean - (x_mean[:, None, :] @ coef[:, :, None])[:, 0, 0]}


def _solved(matrix: AnyArray, right: AnyArray) -> tuple[AnyArray, BoolArray]:
    """Solve a stack; those that cannot be solved without a warning are found by halving it."""
    if matrix.shape[1] == 1:  # SciPy divides then
        done = matrix[:, 0, 0] != 0
        with np.errstate(divide="ignore", invalid="ignore"):
            return right / matrix, done
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            solution: Any = linalg.solve(matrix, right, assume_a="pos")
            return solution, np.ones(len(matrix), dtype=bool)
    except (linalg.LinAlgError, linalg.LinAlgWarning, ValueError):
        if len(matrix) == 1:
            return np.full_like(right, np.nan), np.zeros(1, dtype=bool)
    half = len(matrix) // 2
    parts = [_solved(matrix[:half], right[:half]), _solved(matrix[half:], right[half:])]
    return np.concatenate([solution for solution, _ in parts]), np.concatenate([done for _, done in parts])
