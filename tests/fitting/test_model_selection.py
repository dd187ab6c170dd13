"""Judging: on rows that no fitted part has seen, by the metric asked for, beside a baseline."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from metamodel.evaluation.metrics import skill
from metamodel.evaluation.split_scheme import Scheme
from metamodel.evaluation.splits import hash_folds
from metamodel.fitting import model_selection as judging
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.prediction.child import predictions
from metamodel.tables.row_hashes import row_hashes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X @ [2.0, -1.0] + RNG.normal(size=40)
LABELS = np.where(X[:, 0] > 0, "yes", "no").astype(object)


def group(x=X, y=Y, times=None, weights=None):
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=y)
    return GroupData(("FR", 7), x, np.asarray(y), row_hashes(frame, ["a", "b", "y"], 0), times, weights)


def spec(*estimators, task="regression", **options):
    candidates = tuple(Candidate(f"c{i}", e, type(e).__name__, f'{{"i": {i}}}') for i, e in enumerate(estimators))
    dtype = "float64" if task == "regression" else "object"
    return FitSpec(task, candidates, **({"target_dtype": dtype} | options))


def fitted_parts(folds, x, y):
    """What every fold's scaler, imputer and model hold after an evaluation."""
    children = []

    def record(*args):
        children.append(original(*args))
        return children[-1]

    original = judging.fit_candidate
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), Ridge())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "fit_candidate", record)
        judging.evaluate(Candidate("c", pipeline, "", ""), group(x, y), folds, "regression")
    return [
        (imputer.statistics_.tolist(), scaler.mean_.tolist(), scaler.scale_.tolist(), model.coef_.tolist())
        for imputer, scaler, model in children
    ]


VALUES = st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6))


@given(st.lists(st.tuples(VALUES, VALUES, st.floats(-1e6, 1e6)), min_size=10, max_size=10), st.integers(0, 3))
def test_no_value_of_a_test_row_changes_a_fitted_imputer_scaler_or_model(rows, fold):
    x, y = X.copy(), Y.copy()
    x[::7] = np.nan
    places = np.arange(40) % 4
    folds = [(places != fold, places == fold)]
    before = fitted_parts(folds, x, y)
    x[places == fold], y[places == fold] = [row[:2] for row in rows], [row[2] for row in rows]
    assert fitted_parts(folds, x, y) == before


def test_the_metric_of_several_folds_is_that_of_all_their_rows_together():
    data = group()
    folds = hash_folds(data.hashes, 4)
    outcome = fit_group(data, spec(LinearRegression(), split=Scheme("kfold", 4)))
    answers = np.empty(40)
    for train, test in folds:
        answers[test] = LinearRegression().fit(X[train], Y[train]).predict(X[test])
    assert outcome.metrics["holdout_rmse"] == pytest.approx(root_mean_squared_error(Y, answers))
    assert outcome.facts["folds"] == len(folds)


def test_the_folds_of_a_classifier_may_see_different_classes():
    y = LABELS.copy()
    y[X[:, 1] > 1] = "may be"
    data = group(y=y)
    answers = np.zeros((40, 3))
    for train, test in hash_folds(data.hashes, 4):
        child = LogisticRegression().fit(X[train], y[train])
        answers[np.ix_(test, np.searchsorted(np.unique(y), child.classes_))] = child.predict_proba(X[test])
    outcome = fit_group(data, spec(LogisticRegression(), task="classification", split=Scheme("kfold", 4)))
    assert outcome.metrics["holdout_log_loss"] == pytest.approx(log_loss(y, answers))


def test_a_backtest_has_as_many_folds_as_the_rows_reach_back():
    outcome = fit_group(group(times=np.arange(40)), spec(Ridge(), split=Scheme("rolling", 5, 8, 8)))
    assert (outcome.facts["folds"], outcome.reason) == (4, "")


def test_too_few_time_steps_for_a_backtest_are_said():
    outcome = fit_group(group(times=np.arange(40) // 20), spec(Ridge(), split=Scheme("rolling", 1, 2, 2)))
    assert (outcome.status, outcome.reason) == ("fitted", "no_holdout: 40 rows cannot be split")
    assert "baseline" not in outcome.facts


class RightButOnce(Ridge):
    """Half a unit off, and 89 units off at row 39."""

    def predict(self, X):
        return np.where(X[:, 0] == 39, 39.0, X[:, 0] + 0.5)


class SteadilyWrong(Ridge):
    """Twenty units off, and 30 units off at row 39."""

    def predict(self, X):
        return np.where(X[:, 0] == 39, -20.0, X[:, 0] + 20)


@pytest.mark.parametrize(("metric", "chosen"), [("mae", "c1"), ("rmse", "c0"), ("", "c0"), ("r2", "c0")])
def test_candidates_are_compared_by_the_metric_asked_for(metric, chosen):
    rows = np.arange(40.0)
    data = group(np.stack([rows, rows], axis=1), np.where(rows == 39, -50.0, rows), times=rows)
    outcome = fit_group(data, spec(SteadilyWrong(), RightButOnce(), metric=metric))
    assert outcome.facts["candidate"] == chosen


def test_of_equal_candidates_the_first_is_chosen_every_time():
    outcome = fit_group(group(), spec(DummyRegressor(), Ridge(alpha=1.0), Ridge(alpha=1.0)))
    assert (outcome.facts["candidate"], outcome.params) == ("c1", '{"i": 1}')


def test_a_metric_that_nobody_has_leaves_the_choice_to_the_tasks_own():
    outcome = fit_group(group(y=np.full(40, 3.0)), spec(Ridge(), DummyRegressor(), metric="r2"))
    assert outcome.facts["candidate"] == "c0"
    outcome = fit_group(group(y=LABELS), spec(SVC(C=1e-6), SVC(C=10), task="classification", metric="log_loss"))
    assert outcome.facts["candidate"] == "c1"


def test_the_ledger_says_by_how_much_a_child_beats_the_baseline():
    outcome = fit_group(group(), spec(LinearRegression()))
    assert outcome.facts["baseline"] == "mean"
    expected = 1 - outcome.metrics["holdout_rmse"] / outcome.metrics["baseline_rmse"]
    assert outcome.facts["skill"] == pytest.approx(expected)
    assert outcome.facts["skill"] > 0.3


def test_the_baseline_is_the_one_that_is_hardest_to_beat():
    times = np.arange(40)
    seasonal = np.tile([0.0, 10.0, 20.0, 30.0], 10)
    assert fit_group(group(y=seasonal, times=times), spec(Ridge(), season=4)).facts["baseline"] == "seasonal"
    assert fit_group(group(y=np.arange(40.0), times=times), spec(Ridge(), season=4)).facts["baseline"] == "last"
    assert fit_group(group(times=times), spec(Ridge(), season=4)).facts["baseline"] == "mean"


def test_a_baseline_without_error_cannot_be_beaten():
    outcome = fit_group(group(y=np.full(40, 3.0)), spec(DummyRegressor(strategy="constant", constant=4.0)))
    assert outcome.facts["skill"] == -np.inf


def test_rounding_is_no_error_that_a_baseline_could_beat():
    outcome = fit_group(group(y=np.full(40, 0.1)), spec(Ridge()))
    assert 0 <= outcome.metrics["holdout_rmse"] < 1e-15
    assert outcome.facts["skill"] == 0.0
    assert skill("rmse", 2.0, np.nextafter(2.0, 3.0), rounding=1e-12) == 0.0


def test_weights_count_in_fits_and_metrics():
    weights = RNG.integers(0, 4, size=40).astype(float)
    data = group(weights=weights)
    folds = hash_folds(data.hashes, 2)
    outcome = fit_group(data, spec(LinearRegression(), split=Scheme("kfold", 2)))
    answers = np.empty(40)
    for train, test in folds:
        answers[test] = LinearRegression().fit(X[train], Y[train], weights[train]).predict(X[test])
    expected = root_mean_squared_error(Y, answers, sample_weight=weights)
    assert outcome.metrics["holdout_rmse"] == pytest.approx(expected)
    np.testing.assert_allclose(outcome.child.coef_, LinearRegression().fit(X, Y, weights).coef_, rtol=1e-12)


def test_held_out_rows_without_weight_judge_nothing_and_that_is_said():
    times = np.arange(40)
    outcome = fit_group(group(times=times, weights=np.where(times < 30, 1.0, 0.0)), spec(Ridge(), LinearRegression()))
    assert outcome.reason == "no_holdout: every held-out row has weight 0"
    assert (outcome.facts["candidate"], outcome.status) == ("c0", "fitted")
    assert np.isnan([outcome.metrics["holdout_rmse"], outcome.facts["skill"]]).all()


def test_copies_of_a_row_are_left_out_and_counted():
    doubled = group(np.vstack([X, X[:5]]), np.append(Y, Y[:5]))
    outcome, once = fit_group(doubled, spec(LinearRegression())), fit_group(group(), spec(LinearRegression()))
    assert (outcome.rows, outcome.facts["duplicates"], once.facts["duplicates"]) == (40, 5, 0)
    assert outcome.metrics == once.metrics
    assert outcome.child.coef_.tolist() == once.child.coef_.tolist()


def test_copies_of_a_row_are_only_counted_where_they_are_kept():
    outcome = fit_group(group(np.vstack([X, X[:5]]), np.append(Y, Y[:5])), spec(Ridge(), drop_duplicates=False))
    assert (outcome.rows, outcome.facts["duplicates"]) == (45, 5)


def test_the_imbalance_of_classes_is_that_of_the_commonest_to_the_rarest():
    y = np.array(["a"] * 30 + ["b"] * 10, dtype=object)
    outcome = fit_group(group(y=y), spec(LogisticRegression(), task="classification"))
    assert outcome.facts["imbalance"] == 3.0
    assert np.isnan(fit_group(group(), spec(Ridge())).facts["imbalance"])


def test_candidates_are_not_compared_by_a_metric_that_they_lack():
    answering = [LogisticRegression(), LogisticRegression(C=0.1)]
    asked = {"task": "classification", "metric": "log_loss"}
    labels = group(y=np.where(np.arange(40) % 7 == 0, "no", LABELS))
    together, _ = judging.choose(labels, spec(SVC(), *answering, **asked))
    assert together.contest is not None
    assert together.contest.names == ("c1", "c2")
    alone, _ = judging.choose(labels, spec(SVC(), answering[0], **asked))
    assert (alone.candidate.name, alone.contest) == ("c1", None)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_an_ensemble_of_trees_is_asked_once_a_fold_and_answers_as_if_asked_twice(monkeypatch, task):
    rng = np.random.default_rng(0)
    y = rng.normal(size=40) if task == "regression" else rng.choice(["no", "yes"], size=40)
    forest = RandomForestRegressor if task == "regression" else RandomForestClassifier
    candidate = Candidate("forest", forest(5, random_state=0), "forest", "{}")
    rows = GroupData((1,), rng.normal(size=(40, 3)), y, np.arange(40, dtype=np.uint64), weights=rng.random(40))
    folds = [(np.arange(40) % 4 != k, np.arange(40) % 4 == k) for k in (0, 1)]
    asked = []

    def counting(child, x):
        asked.append(len(x))
        return predictions(child, x)

    monkeypatch.setattr(judging, "predictions", counting)
    at_once = judging.evaluate(candidate, rows, folds, task)
    monkeypatch.setattr(judging, "is_tree_model", lambda child: False)
    apart = judging.evaluate(candidate, rows, folds, task)
    assert asked == [40, 40, 30, 10, 30, 10]
    assert at_once.metrics == apart.metrics
    assert at_once.holdout.predicted.tolist() == apart.holdout.predicted.tolist()
