"""Which estimators hold the rows that they were fitted on."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import BaggingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.manifold import Isomap
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor, NearestCentroid, RadiusNeighborsRegressor
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
        RadiusNeighborsRegressor(),
        LocalOutlierFactor(2, novelty=True),
        make_pipeline(KNNImputer(), Ridge()),
        make_pipeline(Nystroem(n_components=40, random_state=0), Ridge()),
        make_pipeline(KernelPCA(2, kernel="rbf"), Ridge()),
        make_pipeline(Isomap(n_neighbors=39, n_components=1), Ridge()),
    ],
)
def test_an_estimator_that_is_said_to_hold_rows_does(estimator: BaseEstimator) -> None:
    assert holds_rows(estimator)
    blob = pickle.dumps(estimator.fit(ROWS, ROWS[:, 0]))
    assert ROWS[0].tobytes() in blob or ROWS[:, 0].tobytes() in blob or ROWS[0, :1].tobytes() in blob


def test_a_curve_through_points_holds_points() -> None:
    curve = IsotonicRegression()
    assert holds_rows(curve)
    assert ROWS[:, 0].max() in curve.fit(ROWS[:, 0], ROWS[:, 0]).X_thresholds_


@pytest.mark.parametrize("estimator", [Ridge(), LinearSVR(), DecisionTreeRegressor(), NearestCentroid()])
def test_one_that_keeps_numbers_of_its_own_alone_is_not_named(estimator: BaseEstimator) -> None:
    assert not holds_rows(estimator)
