"""Boosting rounds that early stopping finds: on other rows than those that judge them."""

import pytest
from searches import group_of, searched, spec_of
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from metamodel.fitting.estimators import resolve
from metamodel.fitting.fit import fit_group
from metamodel.fitting.tuning import Search
from metamodel.fitting.tuning import folds as validation
from metamodel.fitting.tuning.early_stopping import others_rounds

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize(("many_rows", "times"), [(5000, False), (1, True)])
def test_rounds_that_early_stopping_finds_prove_no_gain_by_themselves(monkeypatch, many_rows, times):
    xgboost = pytest.importorskip("xgboost", reason="needs the extra xgboost")
    monkeypatch.setattr(validation, "_MANY_ROWS", many_rows)
    untuned = xgboost.XGBRegressor(n_estimators=25, max_depth=2, n_jobs=1)
    spec = spec_of(untuned, {"max_depth": [2]}, trials=1)
    records = [searched(group_of(rows=60, times=times, random_state=i), spec, Search())[0] for i in range(20)]
    assert sum(bool(record.params) for record in records) <= 3
    assert all(record.rounds is None for record in records if not record.params)
    assert [record.reason for record in records] == [""] * 20


def test_rounds_of_a_fold_are_those_of_the_other_folds():
    assert others_rounds([1, 1, 400]) == [200, 200, 1]


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
