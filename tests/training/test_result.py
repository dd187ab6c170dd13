"""What a training leaves behind, as it is printed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import metamodel

RNG = np.random.default_rng(0)


ROWS = 80


def table(groups=4):
    x = RNG.normal(size=(groups * ROWS, 2)) * [1, 5000]
    frame = pd.DataFrame(x, columns=["x", "income"]).assign(group=np.repeat([f"g{i}" for i in range(groups)], ROWS))
    return frame.assign(y=(frame["x"] + frame["income"] / 5000 + RNG.normal(size=len(frame)) > 0).astype(int))


@pytest.fixture(scope="module")
def stopped():
    return metamodel.train(table(), "group", "y", LogisticRegression(max_iter=1), n_jobs=1, unknown="fallback")


def test_the_printed_result_says_so(stopped):
    assert "warnings          4 of 4 groups: 4 ConvergenceWarning" in str(stopped)
