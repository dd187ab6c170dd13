"""At the edges of the numbers a stack answers as the child does, or leaves the row to it; it never answers alone."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, tree
from sklearn import linear_model as lm
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from stacked import NAMES, built

import metamodel
from metamodel.bundle.model import MetaModel

# Zeros, the smallest numbers, what 32 bits round, what they cannot hold, what a scaler makes overflow, and no numbers.
CORNERS = [0.0, -0.0, 1e-310, 1e-45, -1e-45, 0.1, 16777217.0, 3.4028234e38, 3.4028235677973366e38, 3.5e38]
CORNERS += [-3.5e38, 1e300, -1e300, 1.7e308, -1.7e308, np.inf, -np.inf, np.nan]
CLASSES = 3


def booster(kind, before=(), **options):
    options = {"n_estimators": 4, "n_jobs": 1, **options}
    return make_pipeline(*before, getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(**options))


def histogram(**options):
    return ensemble.HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=3, **options)


REGRESSORS = {
    "decision tree": tree.DecisionTreeRegressor,
    "forest": lambda: ensemble.RandomForestRegressor(4, random_state=0),
    "imputer and forest": lambda: make_pipeline(SimpleImputer(), ensemble.RandomForestRegressor(4, random_state=0)),
    "gradient boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=4),
    "histogram boosting": histogram,
    "histogram boosting, gamma": lambda: histogram(loss="gamma"),
    "scaler and histogram boosting": lambda: make_pipeline(StandardScaler(), histogram()),
    "XGBoost": lambda: booster("Regressor"),
    "XGBoost, huge base score": lambda: booster("Regressor", base_score=1e6),
    "XGBoost, base score of a logarithm": lambda: booster("Regressor", objective="count:poisson", base_score=3.0),
    "XGBoost, pruned": lambda: booster("Regressor", gamma=1.5),
    "XGBoost, leaf by leaf": lambda: booster("Regressor", grow_policy="lossguide", max_leaves=9),
    "XGBoost, exact": lambda: booster("Regressor", tree_method="exact"),
    "XGBoost's forest": lambda: booster("RFRegressor"),
    "min-max and XGBoost": lambda: booster("Regressor", [MinMaxScaler()]),
    "Ridge": lm.Ridge,
    "scaler and Ridge": lambda: make_pipeline(StandardScaler(), lm.Ridge()),
    "imputer, min-max and Ridge": lambda: make_pipeline(SimpleImputer(), MinMaxScaler(), lm.Ridge()),
}
CLASSIFIERS = {
    "forest of classes": lambda: ensemble.RandomForestClassifier(4, random_state=0),
    "histogram boosting of classes": lambda: ensemble.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=3),
    "XGBoost of classes": lambda: booster("Classifier", num_parallel_tree=2, subsample=0.7),
    "scaler and logistic regression": lambda: make_pipeline(StandardScaler(), lm.LogisticRegression()),
}


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


def matrix(seed, missing):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def thresholds(child):
    """What a child's trees compare with."""
    model = child.steps[-1][1] if hasattr(child, "steps") else child
    if hasattr(model, "get_booster"):
        found = model.get_booster().trees_to_dataframe()["Split"].dropna().to_numpy(dtype=np.float64)
    elif hasattr(model, "_predictors"):
        found = np.concatenate([one.nodes["num_threshold"] for stage in model._predictors for one in stage])
    else:
        members = [model] if hasattr(model, "tree_") else np.ravel(getattr(model, "estimators_", []))
        found = np.concatenate([[0.0], *(member.tree_.threshold for member in members)])
    return found[np.isfinite(found)]


def corner_rows(child, number=400):
    edges = thresholds(child)
    edges = np.concatenate([edges, edges.astype(np.float32).astype(np.float64)])
    pool = [CORNERS, edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)]
    return np.random.default_rng(1).choice(np.concatenate(pool), size=(number, 3))


def takes_missing(child, x):
    try:
        child().fit(x, np.arange(60) % CLASSES)
    except ValueError:
        return False
    return True


@functools.cache
def children_of(family):
    make = (REGRESSORS | CLASSIFIERS)[family]
    missing = takes_missing(make, matrix(0, True))
    samples = [matrix(seed, missing) for seed in range(2)]
    if family in CLASSIFIERS:
        targets = [np.arange(60) % CLASSES] * 2
    else:
        targets = [np.exp(np.nan_to_num(x[:, 0])) + np.abs(np.nan_to_num(x[:, 1])) for x in samples]
    return [make().fit(x, y) for x, y in zip(samples, targets, strict=True)], samples


def asked(stack, x, position=0, proba=False):
    """Values, probabilities, and which rows are answered at all."""
    positions = np.full(len(x), position, dtype=np.int64)
    values, shares, answered = stack.program.answer(list(x.T), positions, proba=proba)
    return values, shares, np.ones(len(x), dtype=bool) if answered is None else answered


@pytest.mark.parametrize("family", [*REGRESSORS, *CLASSIFIERS])
def test_no_corner_is_answered_otherwise_than_by_the_child(family):
    children, samples = children_of(family)
    (stack,), refused = built(children, samples, tuple(range(CLASSES)) if family in CLASSIFIERS else ())
    for i, child in enumerate(children):
        x = corner_rows(child)
        proba = family in CLASSIFIERS
        values, shares, answered = asked(stack, x, i, proba)
        sure = x[answered]
        # The child raises here where the stack should have left a row to it.
        np.testing.assert_allclose(values[answered].astype(np.float64), child.predict(sure), rtol=2e-6)
        if proba:
            np.testing.assert_allclose(shares[answered], child.predict_proba(sure), rtol=0, atol=2e-6)
        assert (refused, len(sure) > 30) == ({}, True)


@pytest.mark.parametrize("family", ["XGBoost", "histogram boosting", "forest", "scaler and Ridge"])
def test_a_row_is_answered_alike_alone_and_among_others(family):
    children, samples = children_of(family)
    (stack,), _ = built(children, samples)
    x = corner_rows(children[0], 40)
    together, _, answered = asked(stack, x)
    alone = [asked(stack, row[None]) for row in x]
    assert [one[2][0] for one in alone] == answered.tolist()
    assert [one[0][0] for one, sure in zip(alone, answered, strict=True) if sure] == together[answered].tolist()


@pytest.mark.parametrize("family", [*REGRESSORS, *CLASSIFIERS])
def test_no_row_gets_no_answer(family):
    children, samples = children_of(family)
    (stack,), _ = built(children, samples, tuple(range(CLASSES)) if family in CLASSIFIERS else ())
    values, _, answered = asked(stack, np.empty((0, 3)))
    assert (len(values), len(answered)) == (0, 0)


@pytest.mark.parametrize(
    "child",
    [lm.Ridge, tree.DecisionTreeRegressor, lambda: ensemble.RandomForestRegressor(2), lambda: booster("Regressor")],
)
def test_several_targets_are_refused(child):
    x = matrix(0, False)
    stacks, refused = built([child().fit(x, x[:, :2])], [x])
    assert (stacks, list(refused)) == ([], ['["0"]'])


@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_early_stopped_boosting_of_parallel_trees_ends_with_its_best_round(kind):
    x, noise = matrix(0, False), np.random.default_rng(1).integers(0, 3, 60)
    options = {"n_estimators": 60, "learning_rate": 0.9, "num_parallel_tree": 2, "subsample": 0.8, "n_jobs": 1}
    child = getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(early_stopping_rounds=2, **options)
    child.fit(x[:40], noise[:40], eval_set=[(x[40:], noise[40:])], verbose=False)
    (stack,), refused = built([child], [x], (0, 1, 2) if kind == "Classifier" else ())
    values, _, sure = asked(stack, x)
    assert child.best_iteration + 1 < child.get_booster().num_boosted_rounds()
    assert (values[sure].tolist(), refused) == (child.predict(x)[sure].tolist(), {})


@pytest.mark.parametrize("family", ["XGBoost", "histogram boosting", "scaler and Ridge"])
def test_a_model_answers_a_table_of_corners_as_its_children_do(family, tmp_path):
    frame = pd.DataFrame(matrix(0, False), columns=NAMES).assign(store=np.repeat(["p", "q"], 30))
    frame = frame.assign(y=frame["a"] - frame["b"] ** 2)
    result = metamodel.train(frame, "store", "y", REGRESSORS[family](), n_jobs=1, output_dir=tmp_path / "b")
    assert set(result.ledger["stack"]) == {""}
    model = MetaModel(tmp_path / "b")
    corners = pd.DataFrame(corner_rows(model.child(("p",)), 60), columns=NAMES).assign(store=["p", "q", "x"] * 20)
    for rows in (corners, corners[:1], corners[:0]):
        alone = model.route.predict(rows, model.bundle, model.options({"detail": True}))
        pd.testing.assert_frame_equal(model.predict(rows, {"detail": True}), alone, rtol=1e-6)
    assert model.stats()["rows_stacked"] > 0
