"""Stacked tree ensembles answer as their children do, to the last bit; without numba the children answer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.prediction.stacks import builder as building
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


def xgb(kind, **options):
    return getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(**{"n_jobs": 1, "max_depth": 3, **options})


def matrix(seed, missing=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


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


def test_a_large_tree_and_many_rows():
    x = np.random.default_rng(0).normal(size=(3000, 3))
    child = ensemble.RandomForestRegressor(n_estimators=4, random_state=0).fit(x, x[:, 0] * x[:, 1])
    small = ensemble.RandomForestRegressor(n_estimators=4, max_leaf_nodes=64, random_state=0).fit(x, x[:, 0] * x[:, 1])
    (stack,), _ = built([child, small], [x, x])
    positions = np.arange(6000) % 2
    values, _, _ = stack.program.answer(list(np.repeat(x, 2, axis=0).T), positions, proba=False)
    assert values[::2].tolist() == child.predict(x).tolist()
    assert values[1::2].tolist() == small.predict(x).tolist()


def test_a_stack_is_closed_when_it_is_large(monkeypatch):
    monkeypatch.setattr("metamodel.prediction.stacks.builder._STACK_BYTES", 1)
    model = metamodel.train(table(), "store", "y", estimator="decision_tree", n_jobs=1)
    assert (len(model.manifest.stacks), set(model.ledger["stack"])) == (3, {""})
    opened = MetaModel(model.bundle_path)
    opened.predict(table())
    assert opened.stats()["rows_stacked"] == 180


def table():
    x = np.concatenate([matrix(seed) for seed in range(3)])
    return pd.DataFrame(x, columns=NAMES).assign(y=x[:, 0] ** 2 + x[:, 1], store=np.repeat(["p", "q", "r"], 60))


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


def test_without_numba_at_training_the_ledger_says_so(monkeypatch):
    monkeypatch.setattr(building, "kernel_available", lambda: False)
    result = metamodel.train(table(), "store", "y", estimator="decision_tree", n_jobs=1)
    assert (result.manifest.stacks, set(result.ledger["stack"])) == ((), {"numba is not installed, or does not work"})


@pytest.mark.slow
@pytest.mark.tableless
def test_where_nothing_can_be_kept_on_disk_the_kernel_is_compiled_all_the_same(tmp_path):
    package = Path(metamodel.__file__).parent
    shutil.copytree(package, tmp_path / "metamodel", ignore=shutil.ignore_patterns("__pycache__"))
    stacks = tmp_path / "metamodel" / "prediction" / "stacks"
    (stacks / "__pycache__").touch()  # a file in the folder's place: for root too
    env = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    env |= {"HOME": os.devnull, "PYTHONPATH": str(tmp_path)}
    program = (
        "from metamodel.prediction.stacks import tree_kernel; "
        "print(tree_kernel.__file__, len(tree_kernel.walk.signatures))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split() == [str(stacks / "tree_kernel.py"), "3"], run.stderr


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


def test_what_cannot_be_compared_is_left_to_the_children(monkeypatch):
    x = matrix(0)
    monkeypatch.setattr(trees, "finish", lambda *_: np.empty(0)[1])
    stacks, refused = built([tree.DecisionTreeRegressor().fit(x, x[:, 0])], [x])
    assert (stacks, refused['["0"]'].startswith("cannot be compared: IndexError")) == ([], True)
