"""Importances are read off fitted children and traced back to the columns that the caller knows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from metamodel.evaluation.importance import importance_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)) * [1.0, 10.0, 1.0]
Y = X @ [3.0, 0.1, 0.0]


def test_a_linear_models_coefficients_count_by_the_spread_of_their_features():
    found = importance_of(LinearRegression().fit(X, Y), X)
    np.testing.assert_allclose(found.coefficient, [3.0, 0.1, 0.0], atol=1e-12)
    spread = X.std(axis=0) * [3.0, 0.1, 0.0]
    np.testing.assert_allclose(found.share, spread / spread.sum(), atol=1e-12)


def test_scaling_does_not_change_what_counts():
    plain = importance_of(LinearRegression().fit(X, Y), X)
    scaled = importance_of(make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y), X)
    np.testing.assert_allclose(scaled.share, plain.share, atol=1e-9)


def test_a_forests_own_importances_are_taken():
    forest = RandomForestRegressor(5, random_state=0).fit(X, Y)
    np.testing.assert_allclose(importance_of(forest, X).share, forest.feature_importances_)


def test_encoded_columns_count_for_the_column_they_come_from():
    frame = pd.DataFrame({"city": RNG.choice(["Paris", "Rome"], 200), "city_size": X[:, 0]})
    y = X[:, 0] + (frame["city"] == "Rome") * 5
    columns = make_column_transformer((OneHotEncoder(), ["city"]), ("passthrough", ["city_size"]))
    found = importance_of(make_pipeline(columns, LinearRegression()).fit(frame, y), frame)
    assert found.share.shape == (2,)
    assert found.share[0] > found.share[1] > 0
    assert np.isnan(found.coefficient[0])
    assert found.coefficient[1] == pytest.approx(1.0)


def test_several_classes_share_one_importance():
    labels = np.digitize(X[:, 0], [-0.5, 0.5])
    found = importance_of(LogisticRegression(max_iter=1000).fit(X, labels), X)
    assert np.argmax(found.share) == 0
    assert np.isnan(found.coefficient).all()


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: GridSearchCV(inner, {"fit_intercept": [True, False]}, cv=2),
        lambda inner: TransformedTargetRegressor(inner),
    ],
    ids=["search", "target"],
)
def test_what_stands_around_a_child_is_looked_through(around):
    found = importance_of(around(LinearRegression()).fit(X, Y), X)
    np.testing.assert_allclose(found.share, importance_of(LinearRegression().fit(X, Y), X).share)


@pytest.mark.parametrize(
    "child",
    [KNeighborsRegressor(), make_pipeline(PCA(2), LinearRegression()), ColumnTransformer([("p", "passthrough", [0])])],
    ids=["neighbours", "components", "no model"],
)
def test_what_cannot_be_traced_back_has_no_importance(child):
    assert importance_of(child.fit(X, Y), X) is None


def test_a_forest_is_asked_once_for_its_importances():
    asked = []

    class Counting(RandomForestRegressor):
        @property
        def feature_importances_(self):
            asked.append(1)
            return super().feature_importances_

    x = np.random.default_rng(0).normal(size=(30, 2))
    assert importance_of(Counting(3, random_state=0).fit(x, x[:, 0]), x).share.sum() == pytest.approx(1)
    assert asked == [1]
