"""Warm starts: what goes on from the earlier child, what does not and why, and that no judgement ever does."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spark_tables import assert_same_ledger
from warm_starts import FOREST, fit, grown, table
from xgboost import XGBRegressor

from metamodel.bundle.model import MetaModel
from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.estimators import resolve
from metamodel.fitting.group import GroupData
from metamodel.fitting.preprocessing import with_preprocessing
from metamodel.fitting.spec import Candidate, TaskName
from metamodel.fitting.warm_start import EarlierChild, fit_from, why_only_cold
from metamodel.fitting.xgboost_classifier import XGBClassifier
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema


def group(y: Any = None, seed: int = 0, rows: int = 60, **changes: Any) -> GroupData:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    y = 3 * x[:, 0] - x[:, 1] if y is None else y(x)
    return GroupData(("a",), x, y, np.arange(rows, dtype=np.uint64), **changes)


def candidate(estimator: Any) -> Candidate:
    return Candidate("it", estimator, *label_and_params(estimator))


def fitted(estimator: Any, data: GroupData) -> Any:
    return clone(estimator).fit(np.asfortranarray(data.x), data.y)


def labels(x: Any) -> Any:
    return np.where(x[:, 0] > 0, "dear", "cheap")


@pytest.mark.parametrize("split", ["holdout", "kfold:3"])
def test_no_judgement_starts_from_a_child_that_has_seen_the_held_out_rows(split: str) -> None:
    before = fit(table())
    cold = fit(grown(), split=split)
    warm = fit(grown(), split=split, previous=before.bundle_path, warm_start=True)
    judged = [name for name in cold.ledger if name.startswith(("train_", "holdout_", "baseline", "skill"))]
    pd.testing.assert_frame_equal(warm.ledger[judged], cold.ledger[judged])
    pd.testing.assert_frame_equal(warm.holdout, cold.holdout)
    assert (warm.ledger["sha256"] != cold.ledger["sha256"]).tolist() == [True, True, False]


@pytest.mark.slow
def test_one_process_two_and_a_second_time_give_the_same_children() -> None:
    before = MetaModel(fit(table()).bundle_path)
    options = {"previous": before, "warm_start": True}
    one, two, again = (fit(grown(), n_jobs=n, **options).ledger for n in (1, 2, 1))
    assert_same_ledger(one, two)
    assert one["sha256"].tolist() == again["sha256"].tolist()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"features": ["x"]}, "cold_start: other features before"),
        ({"estimator": GradientBoostingRegressor(n_estimators=5)}, "another estimator before (RandomForestRegressor)"),
        ({"estimator": clone(FOREST).set_params(max_depth=2)}, "cold_start: other parameters before (max_depth)"),
        ({"random_state": 7}, "cold_start: other parameters before (random_state)"),
        ({"estimator": make_pipeline(StandardScaler(), FOREST)}, "another estimator before (RandomForestRegressor)"),
    ],
)
def test_a_group_that_cannot_go_on_starts_from_nothing_and_says_why(change: dict[str, Any], reason: str) -> None:
    before = fit(table()).bundle_path
    cold = fit(grown(), **change)
    warm = fit(grown(), previous=before, warm_start=True, **change)
    assert warm.ledger["reason"].str.contains(re.escape(reason)).tolist()[:2] == [True, True]
    assert (warm.ledger["started_from"].eq("").all(), warm.summary["groups_warm"]) == (True, 0)
    assert warm.ledger["sha256"].tolist() == cold.ledger["sha256"].tolist()


def test_candidates_that_cannot_go_on_stand_beside_one_that_can() -> None:
    before = fit(table(), {"ridge": Ridge(), "forest": FOREST})
    warm = fit(table(), {"ridge": Ridge(), "forest": FOREST}, previous=before.bundle_path, warm_start=True)
    assert warm.ledger["candidate"].eq("ridge").all()
    assert warm.ledger["reason"].eq("cold_start: Ridge has neither warm_start nor partial_fit").all()


def test_an_ensemble_keeps_its_members_and_adds_as_many_as_are_asked_for() -> None:
    for estimator in (
        GradientBoostingRegressor(n_estimators=4, random_state=0),
        BaggingRegressor(n_estimators=4, random_state=0),
    ):
        earlier = fitted(estimator, group())
        child, reason = fit_from(EarlierChild(lambda one=earlier: one), candidate(estimator), group(seed=1))
        assert (reason, len(child.estimators_)) == ("", 8)


def test_xgboost_adds_rounds_to_the_earlier_booster() -> None:
    estimator = XGBRegressor(n_estimators=4, n_jobs=1)
    earlier = fitted(estimator, group())
    child, reason = fit_from(EarlierChild(lambda: earlier), candidate(estimator), group(seed=1))
    assert (reason, child.get_booster().num_boosted_rounds(), child.n_estimators) == ("", 8, 4)
    kinds = XGBClassifier(n_estimators=3, n_jobs=1)
    three = group(lambda x: np.digitize(x[:, 0], [-0.5, 0.5]).astype(str))
    child, reason = fit_from(EarlierChild(lambda: fitted(kinds, three)), candidate(kinds), three)
    assert (reason, child.get_booster().num_boosted_rounds(), child.classes_.tolist()) == ("", 6, ["0", "1", "2"])


@pytest.mark.parametrize(
    "estimator", [MLPRegressor(max_iter=400, random_state=0), SGDRegressor(random_state=0), Lasso(alpha=0.01)]
)
def test_iterations_begin_at_the_earlier_solution(estimator: Any) -> None:
    data = group()
    cold = fitted(estimator, data)
    warm, reason = fit_from(EarlierChild(lambda: fitted(estimator, data)), candidate(estimator), data)
    assert reason == ""
    assert np.max(warm.n_iter_) != np.max(cold.n_iter_)


def test_partial_fit_alone_is_one_more_pass_over_the_rows_it_is_given() -> None:
    first, second = group(labels), group(labels, seed=1)
    child, reason = fit_from(EarlierChild(lambda: fitted(GaussianNB(), first)), candidate(GaussianNB()), second)
    together = GaussianNB().fit(np.vstack([first.x, second.x]), np.concatenate([first.y, second.y]))
    assert reason == ""
    np.testing.assert_allclose(child.theta_, together.theta_)
    np.testing.assert_array_equal(child.class_count_, together.class_count_)


def test_weights_count_in_what_is_added() -> None:
    weights = np.linspace(0, 1, 60)
    for estimator in (GaussianNB(), LogisticRegression()):
        first = fitted(estimator, group(labels))
        plain, weighted = (
            fit_from(EarlierChild(lambda: fitted(estimator, group(labels))), candidate(estimator), data)[0]  # noqa: B023
            for data in (group(labels, seed=1), group(labels, seed=1, weights=weights))
        )
        attribute = "theta_" if hasattr(first, "theta_") else "coef_"
        assert not np.allclose(getattr(plain, attribute), getattr(weighted, attribute))


def test_the_steps_before_the_last_one_stay_as_they_were() -> None:
    estimator = make_pipeline(StandardScaler(), RandomForestRegressor(n_estimators=3, random_state=0))
    earlier = fitted(estimator, group())
    shifted = group(seed=1)
    shifted.x[:] += 100
    child, reason = fit_from(EarlierChild(lambda: earlier), candidate(estimator), shifted)
    assert (reason, len(child[-1].estimators_)) == ("", 6)
    np.testing.assert_array_equal(child[0].mean_, fitted(estimator, group())[0].mean_)


@pytest.mark.parametrize("estimator", [LogisticRegression(), ExtraTreesClassifier(5), XGBClassifier(n_estimators=2)])
def test_other_classes_are_another_question(estimator: Any) -> None:
    earlier = fitted(estimator, group(labels))
    other = group(lambda x: np.where(x[:, 0] > 0, "dear", "fair"))
    child, reason = fit_from(EarlierChild(lambda: earlier), candidate(estimator), other)
    assert (child, reason) == (None, "other classes before (cheap, fair on one side alone)")


def test_what_cannot_be_read_or_raises_is_a_reason() -> None:
    def broken() -> Any:
        raise ModuleNotFoundError("No module named 'gone'")

    child, reason = fit_from(EarlierChild(broken), candidate(FOREST), group())
    assert (child, reason) == (None, "ModuleNotFoundError: No module named 'gone'")


def test_histogram_boosting_reads_its_old_trees_by_the_new_bins() -> None:
    reason = why_only_cold(make_pipeline(StandardScaler(), HistGradientBoostingRegressor()))
    assert reason == "HistGradientBoostingRegressor goes on from a fit on the same rows alone"


@given(st.integers(1, 4), st.integers(1, 4))
def test_the_earlier_trees_answer_as_they_did(before: int, more: int) -> None:
    estimator = RandomForestRegressor(before, max_depth=2, random_state=0)
    earlier = fitted(estimator, group(rows=12))
    kept = earlier.predict(group(seed=2).x)
    child, _ = fit_from(
        EarlierChild(lambda: earlier), candidate(clone(estimator).set_params(n_estimators=more)), group(seed=1, rows=12)
    )
    child.estimators_ = child.estimators_[:before]
    np.testing.assert_allclose(child.predict(group(seed=2).x), kept)


def named(name: str, task: TaskName = "regression") -> Any:
    """What a name stands for, behind what two numbers need."""
    schema = FeatureSchema((Feature("x", "number", "float64"), Feature("z", "number", "float64")), "array")
    return with_preprocessing(name, resolve(name, {}, task, 0), schema, set(), {}, task)


@pytest.mark.parametrize("name", ["lasso", "elastic_net", "huber"])
def test_a_name_that_is_scaled_goes_on_behind_the_scaler_that_it_was_fitted_behind(name: str) -> None:
    before = fit(table(), name)
    after = fit(grown(), name, previous=before.bundle_path, warm_start=True)
    assert after.ledger["started_from"].tolist() == [*before.ledger["sha256"], ""]
    old, new, cold = (
        MetaModel(result.bundle_path).child(shop)
        for result, shop in ((before, "a"), (after, "a"), (fit(grown(), name), "a"))
    )
    assert type(new[0]) is StandardScaler
    np.testing.assert_array_equal(new[0].mean_, old[0].mean_)
    np.testing.assert_array_equal(new[0].scale_, old[0].scale_)
    assert not np.array_equal(cold[0].mean_, old[0].mean_)
    assert not np.array_equal(new[-1].coef_, old[-1].coef_)
    # The last step is what all of today's rows give behind that scaler.
    today = grown().query("shop == 'a'")
    expected = clone(new[-1]).fit(old[0].transform(today[["x", "z"]]), today["y"])
    np.testing.assert_allclose(new[-1].coef_, expected.coef_, rtol=1e-3)


def test_iterations_of_a_scaled_name_begin_at_the_earlier_solution() -> None:
    asked, data = named("logistic_regression", "classification"), group(labels)
    cold = fitted(asked, data)
    warm, reason = fit_from(EarlierChild(lambda: fitted(asked, data)), candidate(asked), data)
    assert reason == ""
    assert np.max(warm[-1].n_iter_) < np.max(cold[-1].n_iter_)
    np.testing.assert_allclose(warm[-1].coef_, cold[-1].coef_, rtol=1e-2)


def test_a_plain_child_is_no_start_for_one_behind_a_scaler() -> None:
    child, reason = fit_from(EarlierChild(lambda: fitted(Lasso(), group())), candidate(named("lasso")), group(seed=1))
    assert child is None
    assert reason
