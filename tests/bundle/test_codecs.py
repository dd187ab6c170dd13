"""Codecs: every child comes back as it was, and a reader builds only what it may."""

import io
import json
import pickle
import time
import tracemalloc
import warnings
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from children import Duck
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from skops.io import dumps

from metamodel.bundle import codecs
from metamodel.bundle.codecs import CODECS, CloudpickleCodec, get_codec, resident_factor
from metamodel.exceptions import ForbiddenCodec, InputError
from metamodel.fitting.estimators import NAMED, resolve

pytestmark = pytest.mark.tableless

PICKLES = ["cloudpickle", "joblib"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.abs(X @ [1.0, 2.0, 3.0]) + 1
LABELS = np.where(np.median(Y) < Y, "much", "little")

REGRESSORS = [
    Ridge(),
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(SelectKBest(f_regression, k=2), Ridge()),
    make_pipeline(ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"), [0])]), Ridge()),
    RandomForestRegressor(5, random_state=0),
    HistGradientBoostingRegressor(max_iter=5),
]
CLASSIFIERS = [
    LogisticRegression(),
    RandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5),
]


def name_of(value):
    return type(value).__name__


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", raising=False)
    monkeypatch.delenv("METAMODEL_TRUSTED_TYPES", raising=False)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("estimator", REGRESSORS, ids=name_of)
def test_a_regressor_predicts_the_same_after_a_round_trip(codec, estimator):
    child = estimator.fit(X, Y)
    copy = get_codec(codec).loads(get_codec(codec).dumps(child))
    assert copy.predict(X).tolist() == child.predict(X).tolist()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=name_of)
def test_a_classifier_gives_the_same_labels_and_probabilities_after_a_round_trip(codec, estimator):
    child = estimator.fit(X, LABELS)
    copy = get_codec(codec).loads(get_codec(codec).dumps(child))
    assert copy.predict(X).tolist() == child.predict(X).tolist()
    assert copy.predict_proba(X).tolist() == child.predict_proba(X).tolist()


# As many trees as show their form.
FEW_TREES = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "gradient_boosting": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 5},
}


@pytest.mark.parametrize("name", NAMED)
def test_every_named_estimator_can_be_stored_without_pickle(name):
    for task, path, y in zip(("regression", "classification"), NAMED[name], (Y, LABELS), strict=True):
        if path is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # convergence on sixty random rows
                child = resolve(name, FEW_TREES.get(name), task, random_state=0).fit(X, y)
            codec = get_codec("skops")
            assert codec.loads(codec.dumps(child)).predict(X).tolist() == child.predict(X).tolist()


def test_cloudpickle_stores_what_a_notebook_defines():
    codec = get_codec("cloudpickle")
    assert codec.loads(codec.dumps(lambda x: 2 * x))(4) == 8


@pytest.mark.parametrize("codec", PICKLES)
@pytest.mark.parametrize("value", ["false", "False", "0", "no", "off", "", " true ", "yes", "2"])
def test_pickles_are_refused_where_the_environment_forbids_them(monkeypatch, codec, value):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", value)
    with pytest.raises(
        ForbiddenCodec,
        match=f'are {codec} pickles and MLFLOW_ALLOW_.* is {value!r}, not true. Train with codec="skops"',
    ):
        get_codec(codec).check_allowed()


@pytest.mark.parametrize("codec", PICKLES)
@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1"])
def test_pickles_are_allowed_where_the_environment_allows_them(monkeypatch, codec, value):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", value)
    assert get_codec(codec).check_allowed() is None


def test_skops_is_allowed_where_pickles_are_not(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    assert get_codec("skops").check_allowed() is None


def test_skops_refuses_a_foreign_type_by_name_when_it_is_written():
    with pytest.raises(ForbiddenCodec, match=r"does not trust the type children.Duck .* Set METAMODEL_TRUSTED_TYPES="):
        get_codec("skops").dumps(Duck().fit(X, Y))


def test_skops_takes_a_foreign_type_that_is_named(monkeypatch):
    monkeypatch.setenv("METAMODEL_TRUSTED_TYPES", "other.Type,children.Duck")
    codec = get_codec("skops")
    assert codec.loads(codec.dumps(Duck(shift=1.0).fit(X, Y))).shift == 1.0


def forged(module: str, name: str, argument: str) -> bytes:
    """A tree in which a node that skops builds by calling its class names another callable."""
    archive = zipfile.ZipFile(io.BytesIO(dumps(DecisionTreeRegressor(max_depth=1).fit(X, Y))))
    schema = json.loads(archive.read("schema.json"))

    def replace(node):
        if isinstance(node, dict) and node.get("__class__") == "Tree":
            text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
            node |= {"__class__": name, "__module__": module, "__loader__": "LossNode"}
            node["__reduce__"]["args"]["content"] = [{**text, "content": json.dumps(argument)}]
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            replace(inner)

    replace(schema)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as copy:
        for part in archive.namelist():
            copy.writestr(part, json.dumps(schema) if part == "schema.json" else archive.read(part))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("numpy.testing", "rundocs"),
        ("numpy", "memmap"),
        ("sklearn.datasets", "load_files"),
        ("sklearn.utils._testing", "check_output"),
        ("sklearn.no_such_module", "thing"),
    ],
)
def test_a_crafted_file_cannot_have_a_callable_called(tmp_path, module, name):
    blob = forged(module, name, f"open({str(tmp_path / 'called')!r}, 'w')")
    with pytest.raises(ForbiddenCodec, match=f"does not trust the type {module}.{name}"):
        get_codec("skops").loads(blob)
    assert list(tmp_path.iterdir()) == []


def test_a_small_child_that_unpacks_to_more_is_not_read():
    archive, buffer = zipfile.ZipFile(io.BytesIO(dumps(Ridge().fit(X, Y)))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as copy:
        for part in archive.namelist():
            copy.writestr(part, archive.read(part))
        copy.writestr("zeros.npy", bytes(10**7))
    with pytest.raises(ForbiddenCodec, match="A child grows when it is unpacked"):
        get_codec("skops").loads(buffer.getvalue())


def test_an_unknown_codec_is_refused():
    with pytest.raises(InputError, match=r"codec='zip' is unknown. Use one of: cloudpickle, joblib, skops"):
        get_codec("zip")


@pytest.mark.parametrize("codec", CODECS)
def test_a_loaded_child_is_charged_at_least_its_bytes(codec):
    blob = get_codec(codec).dumps(Ridge().fit(X, Y))
    assert 1 <= resident_factor(get_codec(codec), blob) < 50


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("estimator", [Ridge(), DecisionTreeRegressor(random_state=0)], ids=["ridge", "tree"])
def test_a_child_is_measured_alike_whatever_the_interpreter_keeps(codec, estimator):
    chosen = get_codec(codec)
    blob = chosen.dumps(estimator.fit(X, Y))
    resident_factor(chosen, blob)
    traced, kept = set(), []
    for turn in range(20):
        kept += [{"some": turn}, (turn, 0.5), np.empty((turn, 2))]  # takes spare objects, and moves what comes next
        del kept[: turn % 3]
        traced.add(codecs._taken(chosen, blob))
    assert len(traced) == 1


@pytest.mark.parametrize("estimator", [Ridge(), DecisionTreeRegressor(random_state=0)], ids=["ridge", "tree"])
def test_children_of_classes_that_were_measured_are_measured_alike_and_sooner(estimator, monkeypatch):
    codec, loads = CloudpickleCodec(), []
    monkeypatch.setattr(codec, "loads", lambda blob: loads.append(blob) or pickle.loads(blob))
    blob = codec.dumps(estimator.fit(X, Y))
    monkeypatch.setattr(codecs, "_warm", weakref.WeakSet())
    first = resident_factor(codec, blob)
    assert len(loads) > 40
    loads.clear()
    assert {resident_factor(codec, blob) for _ in range(5)} == {first}
    assert len(loads) == 2 * 5


def test_a_class_that_a_child_brings_along_is_loaded_each_time_before_it_is_measured(monkeypatch):
    class Own(Ridge):
        pass

    codec, loads = CloudpickleCodec(), []
    monkeypatch.setattr(codec, "loads", lambda blob: loads.append(blob) or pickle.loads(blob))
    blob = codec.dumps(Own().fit(X, Y))
    assert resident_factor(codec, blob) == resident_factor(codec, blob)
    assert len(loads) > 2 * 40


def test_the_callers_tracing_goes_on():
    codec = get_codec("cloudpickle")
    blob = codec.dumps(Ridge().fit(X, Y))
    tracemalloc.start()
    try:
        resident_factor(codec, blob)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_threads_that_measure_at_once_all_measure():
    class Slow(CloudpickleCodec):
        def loads(self, blob):
            child = super().loads(blob)
            time.sleep(0.01 * len(blob) % 0.03)
            return child

    blobs = [pickle.dumps(b"x" * size) for size in (1_000_000, 2_000_001, 3_000_002, 4_000_003)]
    with ThreadPoolExecutor(4) as pool:
        factors = list(pool.map(lambda blob: resident_factor(Slow(), blob), blobs * 3))
    assert factors == pytest.approx([1.0] * 12, rel=0.1)
    assert not tracemalloc.is_tracing()
