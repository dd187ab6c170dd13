"""Steps before a model: read, or refused with the reason."""

import numpy as np
import pytest
from sklearn import tree
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from stacked import built


def matrix(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(60, 3))


@pytest.mark.parametrize(
    ("before", "reason"),
    [(MinMaxScaler(clip=True), "a MinMaxScaler that clips"), (PCA(), "no stack for PCA")],
)
def test_steps_of_another_kind_are_refused_with_the_reason(before, reason):
    x = matrix(0)
    assert built([make_pipeline(before, tree.DecisionTreeRegressor()).fit(x, x[:, 0])], [x]) == ([], {'["0"]': reason})
