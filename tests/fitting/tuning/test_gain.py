"""A gain on validation rows: its size, its sign, and whether it is more than noise."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

from metamodel.evaluation.predictions import Predictions
from metamodel.fitting.tuning.gain import gain, gain_errors, more_than_noise

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize("rows", [2, 4, 30])
def test_as_good_answers_pass_for_better_in_one_of_twenty_groups_however_small(rows):
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(4000):
        old, new = (Predictions(np.zeros(rows), rng.normal(size=rows), None, np.empty(0)) for _ in range(2))
        passed += more_than_noise("rmse", old, new)
    assert 0.02 < passed / 4000 < 0.07


@pytest.mark.parametrize("weights", [None, np.full(4, 0.1), np.array([1.0, 1.0, 0.0, 0.0])])
def test_gain_is_compared_with_students_distribution_of_so_many_rows(weights):
    gained = np.array([1.0, 1.5, 1.0, 1.5])
    old, new = (Predictions(np.zeros(4), values, None, np.empty(0), weights) for values in (gained + 1, np.ones(4)))
    errors = gain_errors("mae", old, new)
    rows = 4 if weights is None or weights.all() else 2
    assert more_than_noise("mae", old, new) == (errors > scipy.stats.t.ppf(0.95, rows - 1)) == (rows == 4)
    assert not more_than_noise("mae", new, old)


def test_one_row_proves_nothing_and_the_same_gain_in_each_of_two_everything():
    for rows, proved in ((1, False), (2, True)):
        old, new = (Predictions(np.zeros(rows), np.full(rows, value), None, np.empty(0)) for value in (2.0, 1.0))
        assert more_than_noise("mae", old, new) == proved
    alone = np.array([1.0, 0.0])
    assert not more_than_noise("mae", replace(old, weights=alone), replace(new, weights=alone))


@pytest.mark.parametrize(("metric", "sign"), [("rmse", -1), ("log_loss", -1), ("f1_macro", 1), ("r2", 1)])
def test_gain_has_the_sign_of_the_metric(metric, sign):
    assert gain(metric, 0.5, 0.75) == sign * 0.25 == -gain(metric, 0.75, 0.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_gain_in_standard_errors_is_the_paired_t_statistic(weighted):
    rng = np.random.default_rng(0)
    y, old, new = rng.normal(size=(3, 50))
    weights = np.full(50, 3.0) if weighted else None
    one, other = (Predictions(y, predicted, None, np.empty(0), weights) for predicted in (old, new))
    expected = scipy.stats.ttest_rel((old - y) ** 2, (new - y) ** 2).statistic
    assert gain_errors("rmse", one, other) == pytest.approx(expected)
    assert gain_errors("rmse", other, one) == pytest.approx(-expected)
    assert gain_errors("rmse", one, one) == 0.0
