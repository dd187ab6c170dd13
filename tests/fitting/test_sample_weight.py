"""Weights: read without guessing, handed to the estimator that takes them."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.exceptions import InputError
from metamodel.fitting.sample_weight import check_takes_weights, fit_weighted


@pytest.mark.parametrize("estimator", [KNeighborsRegressor(), make_pipeline(StandardScaler(), KNeighborsRegressor())])
def test_an_estimator_without_weights_is_refused(estimator):
    with pytest.raises(InputError, match="KNeighborsRegressor takes no weights, but sample_weight names a column"):
        check_takes_weights(estimator)


@pytest.mark.parametrize("estimator", [Ridge(), make_pipeline(StandardScaler(), Ridge()), GridSearchCV(Ridge(), {})])
def test_an_estimator_with_weights_is_taken(estimator):
    assert check_takes_weights(estimator) is None


def test_in_a_pipeline_the_last_step_alone_is_weighted():
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(30, 2)), rng.normal(size=30), rng.uniform(0, 3, size=30)
    child = fit_weighted(make_pipeline(StandardScaler(), Ridge()), x, y, weights)
    scaler = StandardScaler().fit(x)
    assert child[0].mean_.tolist() == scaler.mean_.tolist()
    assert child[1].coef_.tolist() == Ridge().fit(scaler.transform(x), y, weights).coef_.tolist()


@pytest.mark.parametrize("weights", [None, np.ones(4)])
def test_what_is_fitted_is_the_estimator_whatever_its_fit_returns(weights):
    class Results(BaseEstimator, RegressorMixin):
        def fit(self, X, y, sample_weight=None):
            self.mean_ = np.mean(y)
            return {"params": self.mean_}

    estimator = Results()
    assert fit_weighted(estimator, np.zeros((4, 1)), np.arange(4.0), weights) is estimator
    assert estimator.mean_ == 1.5
