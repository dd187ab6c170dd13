"""Tuning of one group: what is searched on which rows, what becomes of bad trials, and what is written down."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from children import Sleeps
from named_estimators import prepared, schema
from searches import ALPHA, group_of, searched, spec_of
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from threadpoolctl import threadpool_limits

from metamodel.evaluation.split_scheme import Scheme
from metamodel.evaluation.splits import hash_folds, hash_holdout
from metamodel.fitting.estimators import resolve
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData
from metamodel.fitting.tuning import Search, tune

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("times", [False, True])
def test_holdout_rows_cannot_change_what_is_found(times):
    group, spec = group_of(times=times), spec_of(Ridge(alpha=1e3), ALPHA)
    held = np.arange(80) >= 64 if times else hash_holdout(group.hashes, 0.2)
    changed = GroupData(group.key, group.x.copy(), group.y.copy(), group.hashes, group.times)
    changed.x[held], changed.y[held] = 1e6, -1e6
    found = [searched(one, spec, Search())[0] for one in (group, changed)]
    assert found[0].params == found[1].params != {}
    assert found[0].validation_score == found[1].validation_score


def test_rows_of_a_fold_cannot_change_what_its_own_training_rows_lead_to():
    group = group_of()
    spec = replace(spec_of(Ridge(alpha=1e3), ALPHA), split=Scheme.parse("kfold:3"))
    inside = tune(group, spec, Search(), []).of_folds
    for i, (_, test) in enumerate(hash_folds(group.hashes, 3)):
        changed = replace(group, x=np.where(test[:, None], 1e6, group.x), y=np.where(test, -1e6, group.y))
        again = tune(changed, spec, Search(first={"child": {"alpha": 7.0}}), []).of_folds
        assert again[i][0].params == inside[i][0].params
        assert [one[0].params for one in again] != [one[0].params for one in inside]


def test_every_fold_is_judged_with_parameters_of_its_own():
    group = group_of()
    spec = replace(spec_of(Ridge(alpha=1e3), ALPHA), split=Scheme.parse("kfold:3"))
    tuned = tune(group, spec, Search(), [])
    outcome = fit_group(group, spec)
    answers = np.empty(80)
    for (one,), (train, test) in zip(tuned.of_folds, hash_folds(group.hashes, 3), strict=True):
        answers[test] = clone(one.estimator).fit(group.x[train], group.y[train]).predict(group.x[test])
    assert outcome.metrics["holdout_rmse"] == pytest.approx(root_mean_squared_error(group.y, answers))
    (record,) = outcome.tuning
    assert outcome.child.alpha == record["params"]["alpha"]
    assert record["trials"] > 8


def test_tuned_child_is_better_than_untuned_and_says_so():
    group = group_of(rows=40)
    spec = spec_of(Ridge(alpha=1e3), ALPHA, trials=20)
    outcome = fit_group(group, spec)
    untuned = fit_group(group, spec_of(Ridge(alpha=1e3), ALPHA, trials=1, patience=1))
    (record,) = outcome.tuning
    assert outcome.metrics["holdout_rmse"] < untuned.metrics["holdout_rmse"] * 1.01
    assert outcome.child.alpha == record["params"]["alpha"] != 1e3
    assert record["chosen"]
    assert record["gain"] == pytest.approx(record["untuned_score"] - record["validation_score"])
    assert record["train_score"] < record["validation_score"]
    assert f'"alpha": {record["params"]["alpha"]}' in outcome.params


def test_order_of_rows_and_of_groups_do_not_matter():
    spec = spec_of(Ridge(), ALPHA)
    group, other = group_of(), group_of(random_state=1)
    order = np.random.default_rng(0).permutation(80)
    mixed = GroupData(group.key, group.x[order], group.y[order], group.hashes[order])
    one = searched(group, spec, Search())[0]
    searched(other, spec, Search())
    assert searched(group, spec, Search())[0].params == one.params
    assert searched(mixed, spec, Search())[0].params == pytest.approx(one.params)


def test_group_that_cannot_be_split_is_fitted_untuned_and_says_so():
    outcome = fit_group(group_of(rows=2), spec_of(Ridge(), ALPHA))
    assert outcome.status == "fitted"
    assert "not_tuned: the training rows cannot be split" in outcome.reason


def test_group_without_time_is_fitted_untuned_and_says_so():
    outcome = fit_group(group_of(), spec_of(Ridge(), ALPHA), Search(until=0.0, latest=0.0))
    assert (outcome.status, outcome.reason) == ("fitted", "not_tuned: no time left")


def test_endless_trial_is_ended_by_the_groups_limit():
    spec = spec_of(Sleeps(), {"seconds": [600.0]}, tune_seconds=5)  # time enough to begin it
    outcome = fit_group(group_of(), spec)
    (record,) = outcome.tuning
    assert (record["trials"], record["failed"]) == (1, 1)
    assert outcome.reason == "not_tuned: every trial failed (1), the last with no time left"


def test_backtest_leaves_the_rows_before_its_first_origin_to_the_search():
    group = group_of(times=True)
    spec = replace(spec_of(Ridge(), ALPHA), split=Scheme.parse("rolling:folds=3,horizon=10"))
    changed = replace(group, y=np.where(group.times >= 50, 1e6, group.y))
    found = [searched(one, spec, Search())[0].validation_score for one in (group, changed)]
    assert found[0] == found[1]


@pytest.mark.parametrize(("latest", "first"), [(63.0, True), (64.0, False), (None, False)])
def test_parents_best_is_tried_where_its_search_ended_before_the_held_out_rows(latest, first):
    search = Search(first={"child": {"alpha": 0.125}}, first_latest=latest)
    (record,) = searched(group_of(times=True), spec_of(Ridge(alpha=1e3), ALPHA, trials=1), search)
    assert (record.params == {"alpha": 0.125}) == first
    assert record.latest == 63.0


def test_what_a_grandparent_saw_counts_as_seen_by_the_parent_that_started_from_it():
    spec = spec_of(Ridge(alpha=1e3), ALPHA, trials=1)
    times = np.concatenate([np.arange(64), np.arange(70, 86)]).astype(float)
    for first in ({"child": {"alpha": 0.125}}, {}):
        (record,) = searched(replace(group_of(), times=times), spec, Search(first=first, first_latest=68.0))
        assert record.latest == (68.0 if first else 63.0)


@pytest.mark.parametrize(("least", "first"), [(2**60, True), (2**62, False)])
def test_parents_best_is_not_tried_where_a_row_is_held_out_for_want_of_others(least, first):
    # Of the hashes from 2**62 on none is in the first fifth; the parent trains on the row with the smallest one.
    group = replace(group_of(), hashes=np.linspace(least, 2**63, 80).astype(np.uint64))
    spec = spec_of(Ridge(alpha=1e3), ALPHA, trials=1)
    (record,) = searched(group, spec, Search(first={"child": {"alpha": 0.125}}))
    assert (record.params == {"alpha": 0.125}) == first


@pytest.mark.parametrize(
    ("name", "params", "space"),
    [("lasso", {"alpha": 1e3}, ALPHA), ("nearest_neighbors", {"n_neighbors": 40}, {"n_neighbors": (1, 20)})],
)
def test_a_name_that_is_scaled_is_tuned_behind_its_scaler(name, params, space):
    plain = resolve(name, params, "regression", 0)
    frame = pd.DataFrame(group_of().x, columns=["a", "b", "c"])
    spec = spec_of(prepared(name, plain, schema(frame), set()), space)
    group = group_of()
    group = replace(group, x=group.x * [1e-3, 1.0, 1e3])
    (record,) = searched(group, spec, Search())
    (parameter,) = space
    assert list(record.params) == [parameter]
    assert record.validation_score < record.untuned_score
    child = fit_group(group, spec).child
    assert [type(step).__name__ for _, step in child.steps] == ["StandardScaler", type(plain).__name__]
    assert child[-1].get_params()[parameter] == record.params[parameter] != plain.get_params()[parameter]
    np.testing.assert_allclose(child[0].mean_, group.x.mean(axis=0))


def test_a_clock_that_is_set_back_again_and_again_prolongs_no_search(monkeypatch):
    started, moments = time.monotonic(), itertools.count(time.time(), -600.0)
    monkeypatch.setattr(time, "time", lambda: next(moments))
    search = Search(until=started + 0.2, latest=started + 0.2, limit=started + 0.2)
    (record,) = searched(group_of(), spec_of(Ridge(), ALPHA, trials=1_000), search)
    assert record.trials < 1_000
