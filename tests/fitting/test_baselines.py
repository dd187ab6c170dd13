"""Baselines: what a loop over the rows would answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.splits import rolling_folds, time_holdout
from metamodel.fitting.baselines import baselines
from metamodel.fitting.group import GroupData

TIMES = st.lists(st.integers(0, 15), min_size=4, max_size=40)


def group(y, times=None, weights=None):
    y = np.asarray(y)
    times = None if times is None else np.asarray(times)
    weights = None if weights is None else np.asarray(weights, dtype=float)
    return GroupData((), np.zeros((len(y), 1)), y, np.arange(len(y), dtype=np.uint64), times, weights)


def naive(y, times, train, test, season):
    """The mean target of the training rows one or more seasons before each test row."""
    steps = sorted(set(times.tolist()))
    first = steps.index(times[test].min())
    answers = []
    for time in times[test]:
        at = steps.index(time)
        while at >= first:
            at -= season
        if at < 0:
            return None
        answers.append(y[train & (times == steps[at])].mean())
    return answers


@given(TIMES, st.integers(1, 6), st.data())
def test_the_seasonal_value_is_that_of_a_loop(times, season, data):
    times = np.array(times)
    y = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=len(times), max_size=len(times))))
    for train, test in rolling_folds(times, folds=2, horizon=3, step=2):
        found = dict(baselines(group(y, times), [(train, test)], "regression", season))
        expected = naive(y, times, train, test, season)
        assert found["last"].predicted == pytest.approx(naive(y, times, train, test, 1))
        assert ("seasonal" in found) == (expected is not None)
        if expected is not None:
            assert found["seasonal"].predicted == pytest.approx(expected)


def test_the_mean_is_that_of_the_training_rows():
    train = np.array([True, True, False, False])
    ((name, answers),) = baselines(group([1.0, 3.0, 10.0, 20.0]), [(train, ~train)], "regression", 0)
    assert (name, answers.predicted.tolist(), answers.actual.tolist()) == ("mean", [2.0, 2.0], [10.0, 20.0])


def test_weights_count_in_the_mean_and_in_the_metrics():
    train = np.array([True, True, False, False])
    ((_, answers),) = baselines(group([1.0, 3.0, 10.0, 20.0], weights=[3, 1, 1, 0]), [(train, ~train)], "regression", 0)
    assert (answers.predicted.tolist(), answers.metrics("regression")["mae"]) == ([1.5, 1.5], 8.5)


def test_training_rows_without_any_weight_have_no_mean():
    train = np.array([True, True, False, False])
    assert list(baselines(group([1.0, 3, 10, 20], weights=[0, 0, 1, 1]), [(train, ~train)], "regression", 0)) == []


def test_labels_are_answered_by_the_most_frequent_one_with_its_share():
    y = np.array(["b", "a", "b", "c", "a"], dtype=object)
    train = np.array([True, True, True, False, False])
    ((name, answers),) = baselines(group(y), [(train, ~train)], "classification", 0)
    assert (name, answers.predicted.tolist(), answers.classes.tolist()) == ("majority", ["b", "b"], ["a", "b", "c"])
    assert answers.probabilities.tolist() == [pytest.approx([1 / 3, 2 / 3, 0])] * 2


def test_of_labels_that_are_equally_frequent_the_first_in_order_answers():
    y = np.array(["b", "a", "a", "b", "b"], dtype=object)
    train = np.array([True, True, True, True, False])
    ((_, answers),) = baselines(group(y), [(train, ~train)], "classification", 0)
    assert answers.predicted.tolist() == ["a"]


def test_the_last_label_and_that_of_a_season_ago():
    y, times = np.array(["a", "b", "a", "b", "a"], dtype=object), np.arange(5)
    held = time_holdout(times, 0.2)
    found = {
        name: one.predicted.tolist() for name, one in baselines(group(y, times), [(~held, held)], "classification", 2)
    }
    assert found == {"majority": ["a"], "last": ["b"], "seasonal": ["a"]}
