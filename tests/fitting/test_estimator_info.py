"""What an estimator is made of: whether it takes arrays, and how the ledger describes it."""

import json

import numpy as np
import pandas as pd
import pytest
from children import Duck
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from metamodel.fitting.estimator_info import label_and_params, takes_arrays
from metamodel.prediction.child import with_feature_names

NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [1.0, 0.0, 1.0, 0.0]})


Y = np.array([0.0, 1.0, 2.0, 3.0])


FLAT = [Ridge(), make_pipeline(StandardScaler(), Ridge()), RandomForestRegressor(3, random_state=0)]


DELEGATING = [
    GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=2),
    VotingRegressor([("a", Ridge())]),
    make_pipeline(GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2)),
    make_pipeline("passthrough", Ridge()),
    make_pipeline(ColumnTransformer([("x", "passthrough", ["x"])]), Ridge()),
    make_pipeline(FunctionTransformer(), Ridge()),
]


@pytest.mark.parametrize("estimator", FLAT, ids=repr)
def test_an_estimator_that_takes_arrays_is_the_same_on_a_frame(estimator):
    assert takes_arrays(estimator)
    child = with_feature_names(clone(estimator).fit(NUMBERS.to_numpy(), Y), list(NUMBERS))
    assert child.predict(NUMBERS).tolist() == clone(estimator).fit(NUMBERS, Y).predict(NUMBERS).tolist()


@pytest.mark.parametrize("estimator", [*DELEGATING, pytest.param(Duck(), id="Duck()")], ids=repr)
def test_other_estimators_get_frames(estimator):
    assert not takes_arrays(estimator)


def test_an_estimator_is_described_by_what_differs_from_the_default():
    name, params = label_and_params(make_pipeline(StandardScaler(with_mean=False), Ridge(alpha=2.0)))
    assert (name, json.loads(params)) == (
        "StandardScaler > Ridge",
        {"standardscaler__with_mean": False, "ridge__alpha": 2.0},
    )


@pytest.mark.parametrize("alphas", [np.array([0.1, 1.0, 10.0]), np.logspace(-3, 3, 7), [1.0, 2.0], (0.5,)], ids=repr)
def test_a_parameter_may_be_an_array(alphas):
    assert json.loads(label_and_params(RidgeCV(alphas=alphas))[1]) in ({"alphas": list(alphas)}, {})


def test_an_estimator_without_parameters_is_described_by_its_name():
    assert label_and_params(Duck()) == ("Duck", "{}")
