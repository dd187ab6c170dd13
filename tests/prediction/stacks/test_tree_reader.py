"""Which trees are read, and why others are not."""

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.linear_model import LinearRegression
from stacked import built
from tree_samples import matrix


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (ensemble.GradientBoostingRegressor(n_estimators=2, init=LinearRegression()), "boosting from a LinearReg"),
        (ensemble.GradientBoostingClassifier(n_estimators=2, loss="exponential"), "exponential loss"),
        (ensemble.HistGradientBoostingRegressor(max_iter=2, categorical_features=[2]), "categorical splits"),
    ],
)
def test_what_the_kernel_cannot_walk_is_refused(child, reason):
    x = matrix(0)
    x[:, 2] = np.arange(60) % 3
    _, refused = built([child.fit(x, x[:, 0] > 0)], [x], (False, True))
    assert refused['["0"]'].startswith(reason)
