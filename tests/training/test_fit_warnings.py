"""Warnings of estimators are counted by kind, wherever a person looks."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

import metamodel


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


def test_every_kind_is_counted_however_often_another_one_came_before(incomes):
    result = metamodel.train(incomes, "group", "y", Moody(), n_jobs=1)
    assert result.summary["groups_warned_UserWarning"] == result.summary["groups_warned_ConvergenceWarning"] == 4


def test_without_a_warning_nothing_is_said(incomes):
    result = metamodel.train(incomes, "group", "y", "logistic_regression", n_jobs=1)
    assert result.summary["groups_warned"] == 0
    assert "warnings" not in str(result)
    assert not result.findings
