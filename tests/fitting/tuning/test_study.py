"""The trials of one candidate: which parameters stay, and what becomes of bad trials."""

import math
from dataclasses import replace

import numpy as np
import pytest
from children import FailsAbove, Sleeps
from searches import ALPHA, group_of, searched, spec_of
from sklearn.linear_model import Ridge
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from metamodel.fitting.estimators import resolve
from metamodel.fitting.fit import fit_group
from metamodel.fitting.tuning import Search

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


def test_gain_that_may_be_noise_leaves_the_parameters_as_they_are():
    group = group_of()
    noise = replace(group, y=np.random.default_rng(1).normal(size=80))
    for one, tuned in ((noise, False), (group, True)):
        (record,) = fit_group(one, spec_of(Ridge(alpha=1e3), ALPHA, trials=20)).tuning
        assert (record["gain_errors"] > 1.67) == (record["gain"] > 0) == bool(record["params"]) == tuned


def test_parents_best_stays_where_the_groups_own_best_gains_only_noise():
    group, first = group_of(), {"child": {"alpha": 2.0}}
    (record,) = searched(group, spec_of(Ridge(alpha=1e3), ALPHA, trials=20), Search(first=first))
    assert record.params == {"alpha": 2.0}


def test_study_ends_after_trials_without_a_gain():
    spec = spec_of(Ridge(), {"solver": ["cholesky"]}, trials=30, patience=4)
    (record,) = searched(group_of(), spec, Search())
    assert (record.trials, record.params, record.gain) == (4, {}, 0.0)


def test_parents_best_is_the_first_trial():
    spec = spec_of(Ridge(alpha=1e3), ALPHA, trials=1)
    found = searched(group_of(), spec, Search(first={"child": {"alpha": 0.125}}))[0]
    assert found.params == {"alpha": 0.125}
    choices = spec_of(Ridge(alpha=1e3), {"alpha": [1e3, 0.5, 1.0]}, trials=1)
    assert searched(group_of(), choices, Search(first={"child": {"alpha": 0.5}}))[0].params == {"alpha": 0.5}


def test_failing_trials_are_counted_and_not_fatal():
    spec = spec_of(FailsAbove(), {"level": (0.0, 0.9)}, trials=12, patience=0)
    outcome = fit_group(group_of(), spec)
    (record,) = outcome.tuning
    assert outcome.status == "fitted"
    assert 0 < record["failed"] < record["trials"] == 12


def test_group_whose_every_trial_fails_is_fitted_untuned_and_says_why():
    outcome = fit_group(group_of(), spec_of(FailsAbove(), {"level": (0.6, 0.8)}, trials=3))
    assert outcome.status == "fitted"
    assert outcome.reason == ("not_tuned: every trial failed (3), the last with ValueError: the level is too high")
    assert outcome.child.level == 0.0


def test_limit_of_the_search_ends_the_look_at_the_untuned_parameters_too():
    outcome = fit_group(group_of(), spec_of(Sleeps(seconds=0.2), {"seconds": [0.0]}, tune_seconds=0.1))
    (record,) = outcome.tuning
    assert (record["trials"], record["metric"]) == (0, "")
    assert (outcome.status, outcome.reason) == ("fitted", "not_tuned: no time left")


def test_estimator_without_probabilities_is_tuned_by_accuracy():
    spec = spec_of(SVC(), {"C": (0.01, 100.0, "log")}, task="classification")
    (record,) = fit_group(group_of(task="classification"), spec).tuning
    assert record["metric"] == "accuracy"
    assert record["validation_score"] >= record["untuned_score"]


def test_untuned_score_is_missing_where_the_untuned_child_fails():
    (record,) = searched(group_of(), spec_of(FailsAbove(level=0.7), {"level": (0.0, 0.4)}, trials=2), Search())
    assert math.isnan(record.untuned_score)
    assert record.params


@pytest.mark.parametrize("name", ["ridge", "hist_gradient_boosting", "xgboost"])
def test_rows_without_weight_count_for_nothing(name):
    if name == "xgboost":
        pytest.importorskip("xgboost", reason="needs the extra xgboost")
    group = group_of(rows=150)
    weights = (np.arange(150) % 3 > 0).astype(float)
    changed = replace(group, y=np.where(weights > 0, group.y, 1e6), weights=weights)
    space = ALPHA if name == "ridge" else {"learning_rate": (0.1, 0.5)}
    found = [
        searched(one, spec_of(resolve(name, None, "regression", 0), space, trials=3), Search())[0]
        for one in (replace(group, weights=weights), changed)
    ]
    assert found[0].validation_score == pytest.approx(found[1].validation_score, rel=0.2)


def test_metric_that_was_asked_for_decides():
    spec = replace(spec_of(Ridge(), ALPHA), metric="r2")
    (record,) = searched(group_of(), spec, Search())
    assert record.metric == "r2"
    assert record.untuned_score <= record.validation_score < 1
