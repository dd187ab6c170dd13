"""One group: a child that scikit-learn would give, or the reason why there is none; never an exception."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from children import MARK, Exits, LastRow, RaisesOnMark, RaisesOnPredict, SpeaksSurrogates, Warns
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.svm import SVC

from metamodel.evaluation.metrics import metric_names
from metamodel.evaluation.splits import hash_holdout
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData, Terminated
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.tables.row_hashes import row_hashes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X @ [2.0, -1.0] + RNG.normal(size=40)
LABELS = np.where(X[:, 0] > 0, "yes", "no").astype(object)


def group(x=X, y=Y, times=None):
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=y)
    return GroupData(("FR", 7), x, np.asarray(y), row_hashes(frame, ["a", "b", "y"], 0), times)


def spec(*estimators, task="regression", **options):
    candidates = tuple(Candidate(f"c{i}", e, type(e).__name__, f'{{"i": {i}}}') for i, e in enumerate(estimators))
    dtype = "float64" if task == "regression" else "object"
    return FitSpec(task, candidates, **({"target_dtype": dtype} | options))


def test_the_child_is_the_estimator_fitted_on_all_rows():
    outcome = fit_group(group(), spec(LinearRegression()))
    assert (outcome.status, outcome.reason, outcome.rows) == ("fitted", "", 40)
    np.testing.assert_allclose(outcome.child.coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-12)


def test_the_holdout_metric_is_that_of_a_child_that_has_not_seen_the_holdout():
    data = group()
    held = hash_holdout(data.hashes, 0.2)
    judged = LinearRegression().fit(X[~held], Y[~held])
    outcome = fit_group(data, spec(LinearRegression()))
    assert outcome.metrics["holdout_rmse"] == pytest.approx(root_mean_squared_error(Y[held], judged.predict(X[held])))
    assert outcome.metrics["train_rmse"] == pytest.approx(root_mean_squared_error(Y[~held], judged.predict(X[~held])))


def test_every_metric_of_the_task_is_measured():
    assert list(fit_group(group(), spec(LinearRegression())).metrics) == metric_names("regression")
    outcome = fit_group(group(y=LABELS), spec(LogisticRegression(), task="classification"))
    assert list(outcome.metrics) == metric_names("classification")


def test_without_a_holdout_only_training_metrics_are_measured():
    outcome = fit_group(group(), spec(LinearRegression(), holdout=0))
    assert (outcome.reason, outcome.metrics["train_rmse"] > 0, "holdout_rmse" in outcome.metrics) == ("", True, False)


def test_the_latest_rows_are_held_back_where_there_are_times():
    outcome = fit_group(group(times=np.arange(40)), spec(LinearRegression(), holdout=0.25))
    assert outcome.holdout.actual.tolist() == Y[30:].tolist()
    assert outcome.holdout.times.tolist() == list(range(30, 40))


def test_equal_times_cannot_be_split():
    outcome = fit_group(group(times=np.zeros(40)), spec(LinearRegression()))
    assert (outcome.status, outcome.reason) == ("fitted", "no_holdout: 40 rows cannot be split")


def test_too_few_rows_are_skipped_with_their_number():
    outcome = fit_group(group(X[:3], Y[:3]), spec(LinearRegression(), min_rows=4))
    assert (outcome.status, outcome.reason) == ("skipped", "min_rows: 3 usable rows, 4 needed")


def test_rows_without_a_target_are_left_out_and_counted():
    y = np.where(np.arange(40) < 3, np.nan, Y)
    outcome = fit_group(group(y=y), spec(LinearRegression()))
    assert (outcome.status, outcome.rows, outcome.reason) == ("fitted", 37, "target_missing: 3 rows left out")
    np.testing.assert_allclose(outcome.child.coef_, LinearRegression().fit(X[3:], Y[3:]).coef_, rtol=1e-12)


def test_a_group_without_any_target_is_skipped():
    outcome = fit_group(group(y=np.full(40, np.nan)), spec(LinearRegression()))
    assert (outcome.status, outcome.rows) == ("skipped", 0)
    assert outcome.reason == "min_rows: 0 usable rows, 2 needed; target_missing: 40 rows left out"


def test_a_constant_target_is_fitted_and_said():
    outcome = fit_group(group(y=np.full(40, 3.0)), spec(LinearRegression()))
    assert (outcome.status, outcome.reason, np.isnan(outcome.metrics["holdout_r2"])) == (
        "fitted",
        "constant_target",
        True,
    )


def test_a_single_class_fails_with_the_estimators_own_words():
    outcome = fit_group(group(y=np.full(40, "yes", dtype=object)), spec(LogisticRegression(), task="classification"))
    assert (outcome.status, outcome.reason) == (
        "failed",
        "single_class: 'yes'; error",
    )
    assert outcome.error.startswith("ValueError: This solver needs samples of at least 2 classes")


def test_a_single_class_is_fitted_where_the_estimator_can():
    outcome = fit_group(
        group(y=np.full(40, "yes", dtype=object)),
        spec(RandomForestClassifier(2, random_state=0), task="classification"),
    )
    assert (outcome.status, outcome.reason) == ("fitted", "single_class: 'yes'")


@pytest.mark.parametrize("holdout", [0, 0.2])
def test_an_estimator_that_cannot_be_fitted_fails_with_its_first_line(holdout):
    x = np.vstack([X, [[MARK, 0.0]]])
    outcome = fit_group(group(x, np.append(Y, 0.0)), spec(RaisesOnMark(), holdout=holdout))
    assert (outcome.status, outcome.reason, outcome.child) == ("failed", "error", None)
    assert outcome.error == "ValueError: this group is marked"


@pytest.mark.parametrize("holdout", [0, 0.2])
def test_an_estimator_that_cannot_predict_fails(holdout):
    outcome = fit_group(group(), spec(RaisesOnPredict(), holdout=holdout))
    assert (outcome.status, outcome.error, outcome.child) == ("failed", "RuntimeError: no prediction today", None)


def test_a_row_without_a_target_never_reaches_the_estimator():
    data = group(np.vstack([X[:20], [[MARK, 0.0]]]), np.append(Y[:20], np.nan))
    outcome = fit_group(data, spec(RaisesOnMark()))
    assert (outcome.status, outcome.reason) == ("fitted", "target_missing: 1 row left out")


def test_a_class_that_is_only_in_the_holdout_costs_a_metric_and_not_the_child():
    y = np.array(["a"] * 39 + ["b"], dtype=object)
    outcome = fit_group(group(y=y, times=np.arange(40)), spec(LogisticRegression(), task="classification"))
    assert (outcome.status, outcome.reason.partition(":")[0]) == ("fitted", "holdout_failed")


def test_the_better_candidate_is_chosen():
    outcome = fit_group(group(), spec(DummyRegressor(), LinearRegression()))
    assert (outcome.estimator, outcome.params) == ("LinearRegression", '{"i": 1}')


def test_a_candidate_that_fails_leaves_the_field_to_the_others():
    outcome = fit_group(group(), spec(RaisesOnPredict(), DummyRegressor()))
    assert (outcome.status, outcome.estimator) == ("fitted", "DummyRegressor")
    assert outcome.reason == "holdout_failed: c0: RuntimeError: no prediction today"


@pytest.mark.parametrize("others", [[], [DummyClassifier()]])
def test_candidates_without_probabilities_are_compared_by_accuracy(others):
    outcome = fit_group(group(y=LABELS), spec(SVC(C=1e-6), *others, SVC(C=10), task="classification"))
    assert (outcome.estimator, outcome.child.C) == ("SVC", 10)


def test_warnings_are_kept_and_not_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = fit_group(group(), spec(Warns()))
    assert outcome.warnings == "RuntimeWarning: 'the matrix is nearly singular'"


def test_every_held_out_row_is_handed_back_with_its_hash():
    x = RNG.normal(size=(3000, 2))
    data = group(x, x[:, 0])
    held = fit_group(data, spec(LinearRegression())).holdout
    assert held.rows.tolist() == data.hashes[hash_holdout(data.hashes, 0.2)].tolist()


def test_the_input_is_not_changed():
    data = group(y=np.where(np.arange(40) < 3, np.nan, Y))
    before = data.x.copy()
    fit_group(data, spec(LinearRegression()))
    assert (data.x == before).all()


@pytest.mark.parametrize("n_candidates", [1, 2])
def test_an_estimator_that_exits_fails_its_group_alone(n_candidates):
    outcome = fit_group(group(), spec(*[Exits()] * n_candidates))
    assert (outcome.status, outcome.reason, outcome.error) == ("failed", "error", "SystemExit: 3")


@pytest.mark.parametrize("error", [KeyboardInterrupt, Terminated])
def test_the_users_own_stop_ends_the_training(error):
    with pytest.raises(error, match=r"^$"):
        fit_group(group(), spec(Exits(error)))


def test_a_failed_group_with_a_constant_target_says_both():
    outcome = fit_group(group(y=np.ones(40)), spec(Exits()))
    assert (outcome.status, outcome.reason) == ("failed", "constant_target; error")


@pytest.mark.parametrize("frame", [False, True])
def test_a_failed_group_says_how_many_features_have_no_value(frame):
    x = np.column_stack([X[:, 0], np.full(40, np.nan)])
    data = replace(group(), x=pd.DataFrame(x, columns=["a", "b"]) if frame else x)
    outcome = fit_group(data, spec(LinearRegression()))
    assert (outcome.status, outcome.reason) == ("failed", "null_features: 1 of 2 without a value; error")


def test_an_error_can_be_written_to_any_file():
    x = X.copy()
    x[0, 0] = MARK
    assert fit_group(group(x), spec(SpeaksSurrogates())).error == "ValueError: bad name ?"


SHUFFLED = RNG.permutation(40)


@pytest.mark.parametrize("order", [np.arange(40), np.arange(40)[::-1], SHUFFLED], ids=["oldest", "newest", "shuffled"])
def test_every_fit_sees_its_rows_in_the_order_of_time(order):
    outcome = fit_group(group(X[order], Y[order], np.arange(40)[order]), spec(LastRow(), holdout=0.25))
    assert outcome.child.last_ == Y[39]
    # The one that is judged has seen the rows before those held back.
    assert outcome.holdout.predicted.tolist() == [Y[29]] * 10
    assert outcome.holdout.actual.tolist() == Y[30:].tolist()


def test_rows_of_one_time_stand_in_an_order_of_their_own():
    outcomes = [
        fit_group(group(X[order], Y[order], np.arange(40)[order] // 10), spec(LastRow()))
        for order in (np.arange(40), np.arange(40)[::-1], SHUFFLED)
    ]
    assert len({outcome.child.last_ for outcome in outcomes}) == 1
    assert outcomes[0].child.last_ in Y[30:]


def test_without_times_rows_keep_the_tables_order():
    assert fit_group(group(X[SHUFFLED], Y[SHUFFLED]), spec(LastRow())).child.last_ == Y[SHUFFLED[-1]]
