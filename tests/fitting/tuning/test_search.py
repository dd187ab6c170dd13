"""Tuning of one group: what is searched on which rows, what becomes of bad trials, and what is written down."""

import json
import math
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import scipy
from children import FailsAbove, FailsOnAll, Sleeps, Spins
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.split_scheme import Scheme
from metamodel.evaluation.splits import hash_folds, hash_holdout
from metamodel.exceptions import InputError
from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.estimators import resolve
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec, TuningSpec
from metamodel.fitting.tuning import Search, read_space, require_optuna, spaces_of, tune, validation_folds
from metamodel.fitting.tuning import folds as validation
from metamodel.fitting.tuning.early_stopping import others_rounds
from metamodel.fitting.tuning.gain import gain, gain_errors, more_than_noise

pytestmark = pytest.mark.tableless


def group_of(rows=80, times=False, task="regression", random_state=0):
    rng = np.random.default_rng(random_state)
    x = rng.normal(size=(rows, 3))
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=rows)
    hashes = rng.integers(0, 2**64, rows, dtype=np.uint64)
    y = y if task == "regression" else np.where(y > 0, "yes", "no").astype(object)
    return GroupData(("g",), x, y, hashes, np.arange(rows, dtype=float) if times else None)


def spec_of(estimator, space, task="regression", holdout=0.2, **settings):
    candidates = (Candidate("child", estimator, *label_and_params(estimator)),)
    tuning = TuningSpec(spaces_of(read_space({"child": space}), candidates), **{"trials": 8, **settings})
    dtype = "float64" if task == "regression" else "object"
    return FitSpec(task, candidates, holdout, target_dtype=dtype, tuning=tuning)


def searched(group, spec, search):
    records = []
    tune(group, spec, search, records)
    return records


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


ALPHA = {"alpha": (1e-3, 1e3, "log")}


@pytest.mark.parametrize("times", [False, True])
def test_holdout_rows_cannot_change_what_is_found(times):
    group, spec = group_of(times=times), spec_of(Ridge(alpha=1e3), ALPHA)
    held = np.arange(80) >= 64 if times else hash_holdout(group.hashes, 0.2)
    changed = GroupData(group.key, group.x.copy(), group.y.copy(), group.hashes, group.times)
    changed.x[held], changed.y[held] = 1e6, -1e6
    found = [searched(one, spec, Search())[0] for one in (group, changed)]
    assert found[0].params == found[1].params != {}
    assert found[0].validation_score == found[1].validation_score


def test_validation_rows_are_later_than_those_that_are_fitted():
    group = group_of(times=True)
    folds = validation_folds(group)
    assert len(folds) == 5
    assert all(group.times[train].max() < group.times[test].min() for train, test in folds)
    assert not np.logical_and.reduce([test for _, test in folds]).any()


def test_every_row_validates_once_without_times():
    folds = validation_folds(group_of(rows=200))
    assert all((train != test).all() for train, test in folds)
    assert (sum(test.astype(int) for _, test in folds) == 1).all()


@pytest.mark.parametrize("times", [False, True])
def test_many_rows_are_validated_once(times):
    ((train, test),) = validation_folds(group_of(rows=5000, times=times))
    assert not (train & test).any()
    assert 0.05 < test.mean() < 0.3


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


def test_gain_that_may_be_noise_leaves_the_parameters_as_they_are():
    group = group_of()
    noise = replace(group, y=np.random.default_rng(1).normal(size=80))
    for one, tuned in ((noise, False), (group, True)):
        (record,) = fit_group(one, spec_of(Ridge(alpha=1e3), ALPHA, trials=20)).tuning
        assert (record["gain_errors"] > 1.67) == (record["gain"] > 0) == bool(record["params"]) == tuned


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


@pytest.mark.parametrize(("many_rows", "times"), [(5000, False), (1, True)])
def test_rounds_that_early_stopping_finds_prove_no_gain_by_themselves(monkeypatch, many_rows, times):
    xgboost = pytest.importorskip("xgboost", reason="needs the extra xgboost")
    monkeypatch.setattr(validation, "_MANY_ROWS", many_rows)
    untuned = xgboost.XGBRegressor(n_estimators=25, max_depth=2, n_jobs=1)
    spec = spec_of(untuned, {"max_depth": [2]}, trials=1)
    records = [searched(group_of(rows=60, times=times, random_state=i), spec, Search())[0] for i in range(40)]
    assert sum(bool(record.params) for record in records) <= 6
    assert all(record.rounds is None for record in records if not record.params)
    assert [record.reason for record in records] == [""] * 40


def test_rounds_of_a_fold_are_those_of_the_other_folds():
    assert others_rounds([1, 1, 400]) == [200, 200, 1]


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


def test_choice_of_tuples_stays_one_whatever_its_parents_best_went_through():
    choices = {"feature_range": [(0, 2), (0, 1), (0, 3)]}
    scaled = make_pipeline(MinMaxScaler(), Ridge())
    space = {f"minmaxscaler__{name}": values for name, values in choices.items()}
    first = json.loads(json.dumps({"child": {"minmaxscaler__feature_range": (0, 3)}}))
    outcome = fit_group(group_of(), spec_of(scaled, space, trials=1), Search(first=first))
    assert outcome.reason == ""
    assert outcome.tuning[0]["trials"] - outcome.tuning[0]["failed"] == 1
    spec = spec_of(FailsAbove(level=0.7), {"level": [(0.9,), 0.25]}, trials=1)
    assert searched(group_of(), spec, Search(first={"child": {"level": 0.25}}))[0].params == {"level": 0.25}


@pytest.mark.parametrize("limit", [None, 5.0])
def test_group_that_fails_after_its_search_keeps_its_record(limit):
    spec = replace(spec_of(FailsOnAll(), {"level": [0.25]}, trials=1), group_seconds=limit)
    outcome = fit_group(group_of(), spec, Search())
    assert (outcome.status, outcome.error) == ("failed", "ValueError: too many rows")
    (row,) = outcome.tuning
    assert (row["chosen"], row["trials"], row["reason"]) == (False, 1, "")
    assert 0 < row["seconds"] < outcome.seconds


def test_time_limit_that_ends_a_search_leaves_its_record():
    spec = replace(spec_of(Spins(), {"spinning": [True]}), group_seconds=2.0)
    outcomes = []
    require_optuna()  # its import takes longer than the limit on a busy machine
    # Outside the main thread no alarm ends a trial.
    thread = threading.Thread(target=lambda: outcomes.append(fit_group(group_of(), spec)))
    thread.start()
    thread.join()
    (outcome,) = outcomes
    assert (outcome.status, outcome.reason) == ("failed", "time_limit: 2 s")
    (row,) = outcome.tuning
    assert (row["chosen"], row["trials"], row["reason"]) == (False, 1, "the group's time limit")
    assert row["untuned_score"] > 0


def test_order_of_rows_and_of_groups_do_not_matter():
    spec = spec_of(Ridge(), ALPHA)
    group, other = group_of(), group_of(random_state=1)
    order = np.random.default_rng(0).permutation(80)
    mixed = GroupData(group.key, group.x[order], group.y[order], group.hashes[order])
    one = searched(group, spec, Search())[0]
    searched(other, spec, Search())
    assert searched(group, spec, Search())[0].params == one.params
    assert searched(mixed, spec, Search())[0].params == pytest.approx(one.params)


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


def test_group_that_cannot_be_split_is_fitted_untuned_and_says_so():
    outcome = fit_group(group_of(rows=2), spec_of(Ridge(), ALPHA))
    assert outcome.status == "fitted"
    assert "not_tuned: the training rows cannot be split" in outcome.reason


def test_group_without_time_is_fitted_untuned_and_says_so():
    outcome = fit_group(group_of(), spec_of(Ridge(), ALPHA), Search(until=0.0, latest=0.0))
    assert (outcome.status, outcome.reason) == ("fitted", "not_tuned: no time left")


def test_endless_trial_is_ended_by_the_groups_limit():
    spec = spec_of(Sleeps(), {"seconds": [600.0]}, tune_seconds=0.2)
    outcome = fit_group(group_of(), spec)
    (record,) = outcome.tuning
    assert (record["trials"], record["failed"]) == (1, 1)
    assert outcome.reason == "not_tuned: every trial failed (1), the last with no time left"


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


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "xgboost"])
@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("scaled", [False, True])
def test_boosters_get_the_rounds_that_early_stopping_found(name, task, scaled):
    if name == "xgboost":
        pytest.importorskip("xgboost", reason="needs the extra xgboost")
    estimator = resolve(name, {"learning_rate": 1e-4}, task, 0)
    if scaled:
        estimator = make_pipeline(StandardScaler(), estimator)
    spec = spec_of(estimator, {"learning_rate": (0.1, 0.5)}, task=task, trials=2)
    outcome = fit_group(group_of(rows=150, task=task), spec)
    (record,) = outcome.tuning
    last = outcome.child[-1] if scaled else outcome.child
    assert 1 <= record["rounds"] < 500
    assert (last.n_iter_ if name.startswith("hist") else last.get_booster().num_boosted_rounds()) == record["rounds"]


def test_rounds_in_the_space_are_searched_and_not_counted():
    spec = spec_of(HistGradientBoostingRegressor(), {"max_iter": [3, 5]}, trials=2)
    (record,) = searched(group_of(), spec, Search())
    assert record.rounds is None


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


def test_backtest_leaves_the_rows_before_its_first_origin_to_the_search():
    group = group_of(times=True)
    spec = replace(spec_of(Ridge(), ALPHA), split=Scheme.parse("rolling:folds=3,horizon=10"))
    changed = replace(group, y=np.where(group.times >= 50, 1e6, group.y))
    found = [searched(one, spec, Search())[0].validation_score for one in (group, changed)]
    assert found[0] == found[1]


def test_missing_optuna_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'metamodel\[tuning\]'"):
        require_optuna()


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
