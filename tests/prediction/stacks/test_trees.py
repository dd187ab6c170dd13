"""Stacked tree ensembles answer as their children do, to the last bit; without numba the children answer."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import ensemble, tree
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from stacked import NAMES, built
from tree_samples import matrix, table, xgb

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.prediction.stacks import trees

LABELS = [["a", "b", "c"], ["b", "d"], ["a", "d"], ["a", "b", "c", "d"]]
REGRESSORS = {
    "decision tree": tree.DecisionTreeRegressor,
    "forest": lambda: ensemble.RandomForestRegressor(n_estimators=5, random_state=0),
    "best-first forest": lambda: ensemble.RandomForestRegressor(n_estimators=3, max_leaf_nodes=9, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesRegressor(n_estimators=5, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=5),
    "gradient boosting from zero": lambda: ensemble.GradientBoostingRegressor(n_estimators=5, init="zero"),
    "histogram boosting": lambda: ensemble.HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=3),
    "histogram boosting, poisson": lambda: ensemble.HistGradientBoostingRegressor(loss="poisson", max_iter=5),
}
CLASSIFIERS = {
    "decision tree": tree.DecisionTreeClassifier,
    "forest": lambda: ensemble.RandomForestClassifier(n_estimators=5, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesClassifier(n_estimators=5, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=3),
    "histogram boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3),
}


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


def takes_missing(family):
    return family != "gradient boosting" and family != "gradient boosting from zero"


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("family", REGRESSORS)
def test_every_bit_is_the_childs(family, missing):
    missing = missing and takes_missing(family)
    samples = [matrix(seed, missing) for seed in range(4)]
    targets = [np.exp(np.nan_to_num(x[:, 0])) + i for i, x in enumerate(samples)]
    children = [REGRESSORS[family]().fit(x, y) for x, y in zip(samples, targets, strict=True)]
    (stack,), refused = built(children, samples)
    fresh = [matrix(seed + 100, missing) for seed in range(4)]
    order = np.random.default_rng(0).permutation(240)
    positions, x = np.repeat(np.arange(4), 60)[order], np.concatenate(fresh)[order]
    values, _, answered = stack.program.answer(list(x.T), positions, proba=False)
    expected = np.concatenate([child.predict(x) for child, x in zip(children, fresh, strict=True)])[order]
    assert (values.tolist(), refused, answered) == (expected.tolist(), {}, None)


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_classes_may_differ_by_group(family):
    samples = [matrix(seed) for seed in range(4)]
    targets = [np.array(given)[np.arange(60) % len(given)] for given in LABELS]
    children = [CLASSIFIERS[family]().fit(x, y) for x, y in zip(samples, targets, strict=True)]
    stacks, refused = built(children, samples, ("a", "b", "c", "d"))
    places = {key: (stack.program, i) for stack in stacks for i, key in enumerate(stack.keys)}
    assert (refused, len(places)) == ({}, 4)
    for i, child in enumerate(children):
        program, place = places[f'["{i}"]']
        x = matrix(i + 100)
        values, probabilities, _ = program.answer(list(x.T), np.full(60, place), proba=True)
        aligned = np.zeros((60, 4))
        aligned[:, ["abcd".index(label) for label in child.classes_]] = child.predict_proba(x)
        np.testing.assert_allclose(probabilities, aligned, rtol=1e-12, atol=1e-15)
        assert values.tolist() == child.predict(x).tolist()


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_two_classes_everywhere(family):
    x = matrix(0)
    child = CLASSIFIERS[family]().fit(x, x[:, 0] + x[:, 1] ** 2 > 0)
    (stack,), _ = built([child], [x], (False, True))
    values, probabilities, _ = stack.program.answer(list(x.T), np.zeros(60, dtype=np.int64), proba=True)
    np.testing.assert_allclose(probabilities, child.predict_proba(x), rtol=1e-12, atol=1e-15)
    assert values.tolist() == child.predict(x).tolist()


BEFORE = {
    "scaler": (StandardScaler(),),
    "centred only": (StandardScaler(with_std=False),),
    "min-max": (MinMaxScaler((-1, 2)),),
    "imputer": (SimpleImputer(strategy="median"),),
    "imputer and scalers": (SimpleImputer(), StandardScaler(), MinMaxScaler()),
}
BEHIND = {
    "forest": lambda: ensemble.RandomForestRegressor(n_estimators=3, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=3),
    "histogram boosting": lambda: ensemble.HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=3),
    "XGBoost": lambda: xgb("Regressor", n_estimators=3),
    "forest of classes": lambda: ensemble.RandomForestClassifier(n_estimators=3, random_state=0),
}


@pytest.mark.parametrize("family", BEHIND)
@pytest.mark.parametrize("before", BEFORE)
def test_pipelines_are_followed_in_their_own_arithmetic(before, family):
    missing = "imputer" in before
    samples = [matrix(seed, missing) * [1, 1e3, 1e-3] + [0, 7, 1] for seed in range(3)]
    targets = [np.nan_to_num(x[:, 0]) + i for i, x in enumerate(samples)]
    targets = [y > i for i, y in enumerate(targets)] if "classes" in family else targets
    children = [
        make_pipeline(*map(clone, BEFORE[before]), BEHIND[family]()).fit(x, y)
        for x, y in zip(samples, targets, strict=True)
    ]
    (stack,), refused = built(children, samples, (False, True) if "classes" in family else ())
    values, _, answered = stack.program.answer(
        list(np.concatenate(samples).T), np.repeat(np.arange(3), 60), proba=False
    )
    expected = np.concatenate([child.predict(x) for child, x in zip(children, samples, strict=True)])
    assert (values.tolist(), refused, answered) == (expected.tolist(), {}, None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("trees") / "bundle"
    forest = ensemble.RandomForestRegressor(n_estimators=5)
    return metamodel.train(table(), "store", "y", estimator=forest, n_jobs=1, output_dir=path, stack=True).bundle_path


CELLS = st.floats() | st.sampled_from([1e39, -1e39, 0.0])


@given(st.lists(st.tuples(st.sampled_from(["p", "q", "r", "x"]), CELLS, CELLS, CELLS), min_size=1, max_size=40))
@settings(max_examples=40)
def test_the_stack_changes_nothing_but_the_speed(bundle, rows):
    model, frame = MetaModel(bundle), pd.DataFrame(rows, columns=["store", *NAMES])
    alone = model.route.predict(frame, model.bundle, model.options({"detail": True}))
    pd.testing.assert_frame_equal(model.predict(frame, {"detail": True}), alone, check_exact=True)


def test_the_stack_answers(bundle):
    model = MetaModel(bundle)
    model.predict(table())
    assert model.stats()["rows_stacked"] == 180


def test_without_numba_the_children_answer(bundle, monkeypatch):
    expected = MetaModel(bundle).predict(table())
    monkeypatch.setattr(trees, "kernel_available", lambda: False)
    model = MetaModel(bundle)
    pd.testing.assert_frame_equal(model.predict(table()), expected, check_exact=True)
    assert model.stats()["rows_stacked"] == 0


def test_where_numba_is_broken_the_children_answer_and_one_warning_says_so(bundle, monkeypatch):
    expected = MetaModel(bundle).predict(table())
    trees.kernel_available.cache_clear()
    monkeypatch.setitem(sys.modules, "metamodel.prediction.stacks.tree_kernel", None)
    with pytest.warns(RuntimeWarning, match="numba is installed but cannot compile") as warned:
        model = MetaModel(bundle)
    pd.testing.assert_frame_equal(model.predict(table()), expected, check_exact=True)
    trees.kernel_available.cache_clear()
    assert (len(warned), model.stats()["rows_stacked"]) == (1, 0)


@pytest.mark.parametrize("family", ["decision tree", "forest"])
def test_one_class_in_the_whole_target_is_stacked(family):
    x = matrix(0)
    child = CLASSIFIERS[family]().fit(x, np.repeat("a", 60))
    (stack,), refused = built([child], [x], ("a",))
    values, probabilities, _ = stack.program.answer(list(x.T), np.zeros(60, dtype=np.int64), proba=True)
    assert (set(values), probabilities.tolist(), refused) == ({"a"}, [[1.0]] * 60, {})
