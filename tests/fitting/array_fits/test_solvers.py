"""Stacks are solved to the bits of scikit-learn's own fits, whatever their shapes, scales and ranks."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.fitting.array_fits.program import program_of
from metamodel.fitting.array_fits.solvers import RidgeCholesky, solves_stacks
from metamodel.fitting.spec import Candidate, FitSpec

pytestmark = [pytest.mark.tableless, pytest.mark.skipif(not solves_stacks(), reason="SciPy before 1.17")]

ESTIMATORS = [
    Ridge(),
    Ridge(0.01, fit_intercept=False),
    Ridge(3, solver="cholesky"),
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(StandardScaler(), LinearRegression()),
]


def _program(estimator):
    return program_of(FitSpec("regression", (Candidate("one", estimator, "", "{}"),)))


def _stack(seed, n_rows, n_features, exponent, columns):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, n_rows, n_features)) * 10.0 ** rng.integers(-exponent, exponent + 1, size=n_features)
    x += rng.normal(size=(3, 1, n_features)) * 10.0**exponent
    if columns == "constant":
        x[:, :, 0] = 0.1
    elif columns == "collinear":
        x[:, :, -1] = x[:, :, 0] * 2
    elif columns == "whole":
        x = np.round(x)
    return x, rng.normal(size=(3, n_rows)) * 10.0 ** rng.integers(-3, 4)


def _bits(value):
    return np.asarray(value, dtype=np.float64).tobytes()


@given(
    estimator=st.sampled_from(ESTIMATORS),
    seed=st.integers(0, 2**32),
    n_rows=st.integers(1, 70),
    n_features=st.integers(1, 30),
    exponent=st.integers(0, 4),
    columns=st.sampled_from(["plain", "constant", "collinear", "whole"]),
)
def test_a_stack_is_fitted_and_answers_as_each_of_its_groups_alone(
    estimator, seed, n_rows, n_features, exponent, columns
):
    x, y = _stack(seed, n_rows, n_features, exponent, columns)
    program = _program(estimator)
    fitted = program.fit(np.ascontiguousarray(x.transpose(0, 2, 1)), y)
    answers = program.predict(fitted.numbers, x)
    for i in np.flatnonzero(fitted.done).tolist():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a group that scikit-learn warns of is not done
            child = clone(estimator).fit(x[i].copy("F"), y[i].copy())
        for name, values in fitted.numbers.items():
            expected = getattr(*program.holder(child, name))
            assert _bits(values[i].ravel()[: np.size(expected)]) == _bits(expected), name
        assert _bits(answers[i]) == _bits(child.predict(x[i]))


def test_nearly_every_well_behaved_group_is_solved():
    x, y = _stack(0, 20, 4, 1, "plain")
    for estimator in ESTIMATORS:
        assert _program(estimator).fit(np.ascontiguousarray(x.transpose(0, 2, 1)), y).done.all()


def test_groups_that_scikit_learn_warns_of_are_left_to_it_and_their_neighbours_are_not():
    x, y = _stack(0, 20, 3, 0, "plain")
    x[1, :, 2] = x[1, :, 0] + 1e-13 * x[1, :, 1]
    with pytest.warns(LinAlgWarning):
        Ridge(1e-16).fit(x[1], y[1])
    fitted = RidgeCholesky(1e-16, True).fit(np.ascontiguousarray(x.transpose(0, 2, 1)), y)
    assert fitted.done.tolist() == [True, False, True]
