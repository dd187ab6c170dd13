"""Only estimators whose way through scikit-learn is known are fitted as arrays."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from metamodel.common.library_settings import LibrarySettings
from metamodel.evaluation.split_scheme import Scheme
from metamodel.fitting.array_fits.program import program_of
from metamodel.fitting.array_fits.solvers import solves_stacks
from metamodel.fitting.spec import Candidate, FitSpec, TuningSpec

pytestmark = [pytest.mark.tableless, pytest.mark.skipif(not solves_stacks(), reason="SciPy before 1.17")]


class MyRidge(Ridge):
    """Could predict anything."""


def _spec(estimator=None, **changes):
    spec = {"task": "regression", "candidates": (Candidate("one", estimator or Ridge(), "", "{}"),)}
    return FitSpec(**(spec | changes))


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(positive=True),
        Ridge(np.array([1.0])),
        Ridge(True),
        Ridge(-1.0),
        Ridge(solver="svd"),
        Ridge(copy_X=False),
        Ridge(tol=1e-3),
        MyRidge(),
        LinearRegression(positive=True),
        LinearRegression(tol=0.1),
        Lasso(),
        make_pipeline(StandardScaler(with_mean=False), Ridge()),
        make_pipeline(MinMaxScaler(), Ridge()),
        make_pipeline(StandardScaler(), StandardScaler(), Ridge()),
        make_pipeline(StandardScaler(), Ridge(), memory="cache"),
        make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()),
    ],
    ids=repr,
)
def test_other_estimators_and_parameters_have_no_program(estimator):
    assert program_of(_spec()) is not None
    assert program_of(_spec(estimator)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "classification"},
        {"candidates": (Candidate("a", Ridge(), "", "{}"), Candidate("b", Ridge(2), "", "{}"))},
        {"split": Scheme("kfold", folds=3)},
        {"group_seconds": 1.0},
        {"skip": True},
        {"tuning": TuningSpec({})},
        {"settings": LibrarySettings({"assume_finite": True})},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_trainings_of_other_kinds_have_no_program(changes):
    assert program_of(_spec(**changes)) is None
