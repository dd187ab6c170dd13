"""Weights: read without guessing, handed to the estimator that takes them."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.exceptions import InputError
from metamodel.fitting.sample_weight import check_takes_weights, fit_weighted
from metamodel.tables.weights import row_weights


@pytest.mark.parametrize("values", [[1, 0, 2], [1.0, 0.0, 2.0], [Decimal(1), Decimal(0), Decimal(2)]])
def test_numbers_of_every_form_are_weights(values):
    assert row_weights(pd.Series(values, name="w")).tolist() == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("values", "first"), [([1.0, -0.5], "-0.5"), ([1.0, np.nan], "nan"), ([1.0, np.inf], "inf"), ([1, None], "nan")]
)
def test_a_weight_that_is_none_is_one_clear_line(values, first):
    message = rf"^Weight column 'w' has 1 value missing, infinite or below 0 \(first: {first}\). Correct or remove"
    with pytest.raises(InputError, match=message):
        row_weights(pd.Series(values, name="w"))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("heavy", "string"),
        (pd.Timestamp("2024-01-01"), "datetime64"),
        (pd.Timedelta("1D"), "timedelta64"),
        (1j, "complex"),
    ],
)
def test_what_is_no_number_is_no_weight(value, kind):
    message = f"Weight column 'w' holds {kind} values, which are no weights. Name a column"
    with pytest.raises(InputError, match=message):
        row_weights(pd.Series([value, value], name="w"))


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
