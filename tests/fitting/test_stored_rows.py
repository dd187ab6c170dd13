"""Which estimators hold the rows that they were fitted on."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import BaggingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVR
from sklearn.tree import DecisionTreeRegressor

from metamodel.fitting.stored_rows import holds_rows

ROWS = np.random.default_rng(0).normal(size=(40, 2))


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsRegressor(2),
        GaussianProcessRegressor(),
        KernelRidge(kernel="rbf"),
        SVR(epsilon=0.0),
        make_pipeline(StandardScaler(with_mean=False, with_std=False), KNeighborsRegressor(2)),
        BaggingRegressor(KNeighborsRegressor(2), n_estimators=2, random_state=0),
    ],
)
def test_an_estimator_that_is_said_to_hold_rows_does(estimator: BaseEstimator) -> None:
    assert holds_rows(estimator)
    blob = pickle.dumps(estimator.fit(ROWS, ROWS[:, 0]))
    assert ROWS[0].tobytes() in blob or ROWS[:, 0].tobytes() in blob or ROWS[0, :1].tobytes() in blob


@pytest.mark.parametrize("estimator", [Ridge(), LinearSVR(), DecisionTreeRegressor(), NearestCentroid()])
def test_one_that_keeps_numbers_of_its_own_alone_is_not_named(estimator: BaseEstimator) -> None:
    assert not holds_rows(estimator)
