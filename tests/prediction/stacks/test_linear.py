"""Stacks answer as their children do, or leave the row to them."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from bundles import prove_again
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model as lm
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from stacked import NAMES, built, flip_last, matrix, section, training_table

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache

REGRESSORS = {
    "LinearRegression": lm.LinearRegression,
    "Ridge": lm.Ridge,
    "Ridge without intercept": lambda: lm.Ridge(fit_intercept=False),
    "Lasso": lambda: lm.Lasso(alpha=0.01),
    "ElasticNet": lambda: lm.ElasticNet(alpha=0.01),
    "BayesianRidge": lm.BayesianRidge,
    "Huber": lm.HuberRegressor,
    "SGD": lambda: lm.SGDRegressor(random_state=0),
    "Poisson": lm.PoissonRegressor,
    "Gamma": lm.GammaRegressor,
    "Tweedie": lambda: lm.TweedieRegressor(power=1.5),
    "Tweedie as least squares": lambda: lm.TweedieRegressor(power=0),
}
BEFORE = {
    "alone": (),
    "scaler": (StandardScaler(),),
    "scale only": (StandardScaler(with_mean=False),),
    "min-max": (MinMaxScaler((-1, 2)),),
    "two scalers": (StandardScaler(), MinMaxScaler()),
    "imputer": (SimpleImputer(strategy="median"),),
    "imputer and scaler": (SimpleImputer(), StandardScaler()),
}
CLASSIFIERS = {
    "logistic": lambda: lm.LogisticRegression(),
    "SGD": lambda: lm.SGDClassifier(loss="log_loss", random_state=0),
    "SGD hinge": lambda: lm.SGDClassifier(random_state=0),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("family", REGRESSORS)
def test_a_linear_stack_equals_its_children(family, before):
    samples = [matrix(seed, missing="imputer" in before) for seed in range(5)]
    targets = [np.exp(0.1 * np.nan_to_num(x[:, 0])) + i for i, x in enumerate(samples)]
    children = [
        make_pipeline(*BEFORE[before], REGRESSORS[family]()).fit(x, y) for x, y in zip(samples, targets, strict=True)
    ]
    (stack,), refused = built(children, samples)
    positions = np.repeat(np.arange(5), 40)
    columns = list(np.concatenate(samples).T)
    values, _, answered = stack.program.answer(columns, positions, proba=False)
    expected = np.concatenate([child.predict(x) for child, x in zip(children, samples, strict=True)])
    terms = stack.program._scores(columns, positions, absolute=True)[0]
    np.testing.assert_array_less(np.abs(values - expected), 1e-12 * np.maximum(terms, 1) * np.maximum(expected, 1))
    assert (refused, answered) == ({}, None)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("before", ["alone", "imputer and scaler"])
@pytest.mark.parametrize("family", CLASSIFIERS)
def test_classes_may_differ_by_group(family, before):
    labels = [["a", "b", "c"], ["b", "d"], ["a", "d"], ["a", "b", "c", "d"]]
    samples = [matrix(seed, missing="imputer" in before) for seed in range(4)]
    targets = [np.array(given)[np.arange(40) % len(given)] for given in labels]
    steps = BEFORE[before]
    children = [make_pipeline(*steps, CLASSIFIERS[family]()).fit(x, y) for x, y in zip(samples, targets, strict=True)]
    stacks, refused = built(children, samples, ("a", "b", "c", "d"))
    found = {}
    for stack in stacks:
        for position, key in enumerate(stack.keys):
            found[key] = (stack.program, position)
    assert (refused, len(found)) == ({}, 4)
    for i, (child, x) in enumerate(zip(children, samples, strict=True)):
        program, position = found[f'["{i}"]']
        proba = program.takes(proba=True)
        values, probabilities, _ = program.answer(list(x.T), np.full(40, position), proba=proba)
        assert values.tolist() == child.predict(x).tolist()
        if proba:
            aligned = np.zeros((40, 4))
            aligned[:, ["abcd".index(label) for label in child.classes_]] = child.predict_proba(x)
            np.testing.assert_allclose(probabilities, aligned, atol=1e-12)


def test_children_without_probabilities_are_asked_for_labels_only():
    x = matrix(0)
    stacks, _ = built([lm.SGDClassifier(random_state=0).fit(x, x[:, 0] > 0)], [x], (False, True))
    assert [stacks[0].program.takes(proba=proba) for proba in (False, True)] == [True, False]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("stacked") / "bundle"
    table = training_table()
    return metamodel.train(
        table, ["country", "store"], "y", estimator="ridge", n_jobs=1, output_dir=path, stack=True
    ).bundle_path


CELLS = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf, 1e300])
ROWS = st.lists(
    st.tuples(st.sampled_from(["FR", "DE", "XX", None]), st.sampled_from([1.0, 2.0, 3.0, 2.5]), CELLS, CELLS, CELLS),
    min_size=1,
    max_size=40,
)


def batch(rows):
    return pd.DataFrame(rows, columns=["country", "store", *NAMES]).astype({"country": object})


@given(ROWS)
@settings(max_examples=60)
def test_the_stack_changes_nothing_but_the_speed(bundle, rows):
    model, frame = MetaModel(bundle), batch(rows)
    options = model.options({"detail": True})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        stacked = model.predict(frame, {"detail": True})
        alone = model.route.predict(frame, model.bundle, options)
    pd.testing.assert_frame_equal(stacked.drop(columns="prediction"), alone.drop(columns="prediction"))
    np.testing.assert_allclose(stacked["prediction"], alone["prediction"], rtol=1e-9, atol=1e-6)


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 39))
@settings(max_examples=30)
def test_row_order_and_the_cut_into_batches_never_matter(bundle, rows, random, cut):
    model, frame = MetaModel(bundle), batch(rows)
    finite = frame.replace([np.inf, -np.inf, 1e300], np.nan).dropna()
    whole = model.predict(finite)
    order = list(range(len(finite)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(model.predict(finite.iloc[order]), whole.iloc[order], check_exact=True)
    parts = [model.predict(part) for part in (finite.iloc[:cut], finite.iloc[cut:])]
    pd.testing.assert_frame_equal(pd.concat(parts), whole, check_exact=True)


def test_the_ledger_says_who_is_stacked_and_the_statistics_who_answered(bundle):
    model = MetaModel(bundle, ByteCache(2**20))
    model.predict(batch([("FR", 1.0, 1, 2, 3), ("FR", 1.0, np.nan, 2, 3)]))
    stats = model.stats()
    assert model.ledger["stack"].tolist() == [""] * 6
    assert (stats["rows_stacked"], stats["rows"]) == (1, {"child": 1, "failed": 1})
    assert (stats["seconds_predicting"] > 0, stats["seconds_unpickling"] > 0) == (True, True)


def test_without_stacks_the_children_answer(tmp_path):
    result = metamodel.train(
        training_table(), ["country", "store"], "y", n_jobs=1, output_dir=tmp_path / "b", stack=False
    )
    assert (result.manifest.stacks, set(result.ledger["stack"])) == ((), {"not asked for"})


@pytest.fixture
def copied(bundle, tmp_path, monkeypatch):
    """A copy that a test may damage; children of the whole bundle, which has the same digest, would hide damage."""
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)
    monkeypatch.setattr("metamodel.bundle.stack_digests._MOST_CHILDREN", 2)
    metamodel.train(training_table(), ["country", "store"], "y", n_jobs=1, output_dir=tmp_path / "b")
    return tmp_path / "b"


@pytest.mark.parametrize("harm", ["truncate", "remove", "index", "digests", "slope"])
def test_without_its_arrays_a_stack_is_left_aside(copied, harm):
    path = copied / "stacks" / "00000.arrays"
    if harm == "remove":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        flip_last(copied, harm)
    expected = alone(copied)
    with pytest.warns(RuntimeWarning, match=r"Stack stacks/00000 of b is damaged: .*Their children answer instead"):
        answers = MetaModel(copied).predict(training_table())
    pd.testing.assert_frame_equal(answers, expected)


def alone(path):
    model = MetaModel(path)
    return model.route.predict(training_table(), model.bundle, model.options())


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=40)
def test_no_damaged_byte_changes_an_answer(bundle, tmp_path_factory, place, mask):
    path = tmp_path_factory.mktemp("damaged") / "b"
    shutil.copytree(bundle, path)
    file, start, end = section(path, ["slope", "intercept", "versions", "index", "digests", "keys"][place % 6])
    content = bytearray(file.read_bytes())
    content[start + place % (end - start)] ^= mask
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        answers = MetaModel(path).predict(training_table(), {"detail": True})
    assert set(answers["status"]) == {"child"}
    pd.testing.assert_frame_equal(answers, MetaModel(bundle).predict(training_table(), {"detail": True}))


def test_a_manifest_of_another_release_with_unknown_stacks_still_opens(tmp_path):
    path = metamodel.train(
        training_table(), ["country", "store"], "y", n_jobs=1, output_dir=tmp_path / "b", stack=True
    ).bundle_path
    text = (path / "manifest.json").read_text()
    prove_again(path, text.replace('"family": "linear"', '"family": "quantum"').encode())
    with pytest.warns(RuntimeWarning, match="quantum"):
        assert set(MetaModel(path).predict(training_table())["status"]) == {"child"}


def test_many_keys_of_other_kinds_are_found_like_few(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(600, 3)), columns=NAMES)
    table = table.assign(y=table["a"], country=np.tile(["FR", "DE"], 300), store=np.repeat(np.arange(150), 4))
    keys = ["country", "store"]
    path = metamodel.train(table, keys, "y", n_jobs=1, output_dir=tmp_path / "b", holdout=0).bundle_path
    model, frame = MetaModel(path), pd.concat([table, table.iloc[:3].assign(store=[-1, 0, 999])], ignore_index=True)
    whole = model.predict(frame, {"detail": True})
    parts = pd.concat([model.predict(frame.iloc[i : i + 50], {"detail": True}) for i in range(0, 650, 50)])
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)
    assert (model.stats()["rows_stacked"], (whole["status"] == "child").sum()) == (2 * 601, 601)


@pytest.mark.parametrize("odd", [["unknown"], [None], [7], ["\ud800"]])
def test_many_text_keys_are_found_like_few(tmp_path, odd):
    names = [f"s{i}" for i in range(300)]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(600, 3)), columns=NAMES)
    table = table.assign(y=table["a"], store=np.repeat(names, 2).astype(object))
    path = metamodel.train(table, "store", "y", n_jobs=1, output_dir=tmp_path / "b", holdout=0, stack=True).bundle_path
    model, frame = MetaModel(path), table.iloc[:-1]
    frame = pd.concat([frame, frame.iloc[:1].assign(store=pd.Series(odd, dtype=object))], ignore_index=True)
    whole = model.predict(frame, {"detail": True})
    parts = pd.concat([model.predict(frame.iloc[i : i + 50], {"detail": True}) for i in range(0, 600, 50)])
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)
