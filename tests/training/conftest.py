"""A training of which every group's estimator warns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import metamodel

GROUPS, ROWS = 4, 80


@pytest.fixture(scope="module")
def incomes() -> pd.DataFrame:
    """Four groups with a feature that is not scaled."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(GROUPS * ROWS, 2)) * [1, 5000]
    frame = pd.DataFrame(x, columns=["x", "income"]).assign(group=np.repeat([f"g{i}" for i in range(GROUPS)], ROWS))
    return frame.assign(y=(frame["x"] + frame["income"] / 5000 + rng.normal(size=len(frame)) > 0).astype(int))


@pytest.fixture(scope="module")
def stopped(incomes: pd.DataFrame) -> metamodel.TrainingResult:
    """Logistic regressions that do not converge."""
    return metamodel.train(
        incomes, "group", "y", LogisticRegression(max_iter=1), n_jobs=1, unknown="fallback", prune=False
    )
