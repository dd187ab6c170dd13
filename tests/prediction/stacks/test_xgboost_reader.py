"""XGBoost's trees, read and walked in its own arithmetic."""

import numpy as np
import pytest
from stacked import built


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


def matrix(seed, missing=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 3))
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def xgb(kind, **options):
    return getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(**{"n_jobs": 1, "max_depth": 3, **options})


XGB_REGRESSORS = {
    "plain": {},
    "one tree": {"n_estimators": 1},
    "deep": {"max_depth": 8, "n_estimators": 20},
    "base score": {"base_score": 0.3},
    "parallel trees": {"num_parallel_tree": 3, "subsample": 0.7},
    "absolute error": {"objective": "reg:absoluteerror"},
    "poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma"},
    "tweedie": {"objective": "reg:tweedie"},
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("options", XGB_REGRESSORS)
def test_xgboost_is_followed_in_its_own_arithmetic(options, missing):
    samples = [matrix(seed, missing) for seed in range(3)]
    targets = [np.exp(np.nan_to_num(x[:, 0])) + i for i, x in enumerate(samples)]
    children = [xgb("Regressor", **XGB_REGRESSORS[options]).fit(x, y) for x, y in zip(samples, targets, strict=True)]
    (stack,), refused = built(children, samples)
    fresh = [np.concatenate([x, matrix(seed + 50, missing)]) for seed, x in enumerate(samples)]
    values, _, answered = stack.program.answer(list(np.concatenate(fresh).T), np.repeat(np.arange(3), 120), proba=False)
    expected = np.concatenate([child.predict(x) for child, x in zip(children, fresh, strict=True)])
    np.testing.assert_allclose(values, expected, rtol=1e-6 if "objective" in XGB_REGRESSORS[options] else 0)
    assert (refused, answered) == ({}, None)


def test_xgboost_compares_features_as_32_bit_numbers():
    x = np.linspace(0, 1, 60)[:, None] * [1, 1, 1]
    child = xgb("Regressor", n_estimators=5).fit(x, x[:, 0] ** 2)
    (stack,), _ = built([child], [x])
    nodes = [node for node in child.get_booster().trees_to_dataframe()["Split"].dropna().unique()]
    edges = np.array([np.float32(node) for node in nodes])
    near = np.concatenate([np.nextafter(edges.astype(np.float64), way) for way in (-np.inf, np.inf)] + [edges])
    rows = near[:, None] * [1.0, 1.0, 1.0]
    values, _, _ = stack.program.answer(list(rows.T), np.zeros(len(rows), dtype=np.int64), proba=False)
    assert values.tolist() == child.predict(rows).tolist()


def test_early_stopped_xgboost_ends_with_its_best_iteration():
    x = matrix(0)
    noise = np.random.default_rng(1).normal(size=60)
    child = xgb("Regressor", n_estimators=200, learning_rate=0.7, early_stopping_rounds=2)
    child.fit(x[:40], noise[:40], eval_set=[(x[40:], noise[40:])], verbose=False)
    (stack,), _ = built([child], [x])
    values, _, _ = stack.program.answer(list(x.T), np.zeros(60, dtype=np.int64), proba=False)
    assert child.best_iteration + 1 < child.get_booster().num_boosted_rounds()
    assert values.tolist() == child.predict(x).tolist()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_classes_of_xgboost(n_classes, missing):
    samples = [matrix(seed, missing) for seed in range(3)]
    children = [xgb("Classifier", n_estimators=4).fit(x, np.arange(60) % n_classes) for x in samples]
    (stack,), refused = built(children, samples, (0, 1, 2))
    positions, x = np.repeat(np.arange(3), 60), np.concatenate(samples)
    values, probabilities, answered = stack.program.answer(list(x.T), positions, proba=True)
    labels = np.concatenate([child.predict(x) for child, x in zip(children, samples, strict=True)])
    expected = np.zeros((180, 3))
    expected[:, :n_classes] = np.concatenate(
        [child.predict_proba(x) for child, x in zip(children, samples, strict=True)]
    )
    sure = slice(None) if answered is None else answered
    np.testing.assert_allclose(probabilities[sure], expected[sure], atol=1e-6)
    assert values[sure].tolist() == labels[sure].tolist()
    assert (refused, len(labels[sure]) > 100) == ({}, True)


def test_a_close_call_of_xgboost_is_left_to_the_child():
    x = np.zeros((20, 3))
    child = xgb("Classifier", n_estimators=2, base_score=0.5).fit(x, np.arange(20) % 2)
    (stack,), _ = built([child], [x], (0, 1))
    _, _, answered = stack.program.answer(list(x.T), np.zeros(20, dtype=np.int64), proba=True)
    assert not answered.any()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"booster": "dart", "one_drop": True}, "booster dart"),
        ({"booster": "gblinear", "max_depth": None}, "booster gblinear"),
        ({"missing": -1.0}, "-1.0 stands for missing values"),
        ({"objective": "reg:quantileerror", "quantile_alpha": 0.5}, "objective reg:quantileerror"),
        ({"feature_types": ["q", "q", "c"], "enable_categorical": True, "max_cat_to_onehot": 9}, "categorical splits"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_of_xgboost_cannot_be_read_is_refused(options, reason):
    x = matrix(0)
    x[:, 2] = np.arange(60) % 3
    child = xgb("Regressor", n_estimators=3, **options).fit(x, x[:, 2] == 1)
    assert built([child], [x]) == ([], {'["0"]': reason})


def test_an_xgboost_without_a_tree_is_its_base_score():
    x = matrix(0)
    child = xgb("Regressor", n_estimators=0, base_score=0.25).fit(x, x[:, 0])
    (stack,), refused = built([child, xgb("Regressor", n_estimators=2).fit(x, x[:, 0])], [x, x])
    values, _, _ = stack.program.answer(list(x.T), np.zeros(60, dtype=np.int64), proba=False)
    assert (values.tolist(), refused) == (child.predict(x).tolist(), {})
