"""Warnings of estimators are counted by kind, wherever a person looks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

import metamodel

RNG = np.random.default_rng(0)
ROWS = 80


def table(groups=4):
    x = RNG.normal(size=(groups * ROWS, 2)) * [1, 5000]
    frame = pd.DataFrame(x, columns=["x", "income"]).assign(group=np.repeat([f"g{i}" for i in range(groups)], ROWS))
    return frame.assign(y=(frame["x"] + frame["income"] / 5000 + RNG.normal(size=len(frame)) > 0).astype(int))


@pytest.fixture(scope="module")
def stopped():
    return metamodel.train(
        table(), "group", "y", LogisticRegression(max_iter=1), n_jobs=1, unknown="fallback", prune=False
    )


def test_groups_are_counted_by_kind(stopped):
    counted = {name: number for name, number in stopped.summary.items() if name.startswith("groups_warned")}
    assert counted == {"groups_warned": 4, "groups_warned_ConvergenceWarning": 4}


def test_a_finding_says_what_was_warned_of_and_what_to_do(stopped):
    (found,) = [one for one in stopped.findings if one.check == "warnings"]
    assert found.message.startswith(
        "4 of 4 groups were fitted with a ConvergenceWarning (first: ('g0',): 'lbfgs failed"
    )
    assert found.message.endswith("or choose another estimator.")
    assert stopped.manifest.findings[-1] == found.to_dict()


class Moody(Ridge):
    def fit(self, x, y):
        for i in range(5):
            warnings.warn(f"again {i}", ConvergenceWarning, stacklevel=2)
        warnings.warn("; never a kind: of its own", UserWarning, stacklevel=2)
        return super().fit(x, y)


def test_every_kind_is_counted_however_often_another_one_came_before():
    result = metamodel.train(table(2), "group", "y", Moody(), n_jobs=1)
    assert result.summary["groups_warned_UserWarning"] == result.summary["groups_warned_ConvergenceWarning"] == 2


def test_without_a_warning_nothing_is_said():
    result = metamodel.train(table(2), "group", "y", "logistic_regression", n_jobs=1)
    assert result.summary["groups_warned"] == 0
    assert "warnings" not in str(result)
    assert not result.findings
