"""Which children are read as linear ones, and why others are not."""

import numpy as np
import pytest
from sklearn import linear_model as lm
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
from stacked import built


def matrix(seed, rows=40, missing=False):
    rng = np.random.default_rng(seed)
    x = rng.normal([0, 10, -5], [1, 3, 0.01], size=(rows, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (KNeighborsRegressor(), "no stack for KNeighborsRegressor"),
        (make_pipeline(PolynomialFeatures(), lm.Ridge()), "coefficients of shape (1, 10)"),
        (make_pipeline(StandardScaler(), SimpleImputer(), lm.Ridge()), "an imputer behind another step"),
        (make_pipeline(MinMaxScaler(clip=True), lm.Ridge()), "a MinMaxScaler that clips"),
    ],
)
def test_a_child_of_another_kind_is_refused_with_the_reason(child, reason):
    x = matrix(0)
    stacks, refused = built([child.fit(x, x[:, 0])], [x])
    assert (stacks, refused['["0"]'].startswith(reason)) == ([], True)


def test_a_child_whose_own_answers_differ_is_refused():
    x = matrix(0)
    child = lm.Ridge().fit(x, x[:, 0])
    child.predict = lambda rows: np.zeros(len(rows))
    _, refused = built([child, lm.Ridge().fit(x, x[:, 0])], [x, x])
    assert refused == {'["0"]': "the stack's answers differ from the child's"}


def test_a_subclass_may_predict_otherwise_and_is_refused():
    class Shifted(lm.Ridge):
        pass

    x = matrix(0)
    assert built([Shifted().fit(x, x[:, 0])], [x]) == ([], {'["0"]': "no stack for Shifted"})
