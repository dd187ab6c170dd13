"""XGBoost's binary JSON is read as its JSON is, number for number; what is damaged raises."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metamodel.prediction.stacks.ubjson import joined, lengths, read_ubj

pytestmark = pytest.mark.tableless

LENGTH = b"L" + bytes(7)
SMALL = (
    b"{"
    + (LENGTH + b"\x04nameS" + LENGTH + b"\x02gb")
    + (LENGTH + b"\x01n[#" + LENGTH + b"\x02i\x05I\x01\x00")
    + (LENGTH + b"\x01x[$d#" + LENGTH + b"\x01\x3f\x80\x00\x00")
    + (LENGTH + b"\x01yZ" + LENGTH + b"\x01zT")
    + b"}"
)
MODELS = {
    "regressor": ("Regressor", {"n_estimators": 3}),
    "many rounds": ("Regressor", {"n_estimators": 300, "max_depth": 1}),
    "no tree": ("Regressor", {"n_estimators": 0}),
    "three classes": ("Classifier", {"n_estimators": 2, "objective": "multi:softprob"}),
    "categories": ("Regressor", {"n_estimators": 2, "feature_types": ["q", "q", "c"], "enable_categorical": True}),
}


def documents(name):
    kind, options = MODELS[name]
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[:, 2] = np.arange(60) % 5
    y = np.arange(60) % 3 if kind == "Classifier" else x[:, 0] * 1e-20
    model = getattr(pytest.importorskip("xgboost"), f"XGB{kind}")(n_jobs=1, **options)
    booster = model.fit(x, y).get_booster()
    return bytes(booster.save_raw("ubj")), bytes(booster.save_raw("json"))


def assert_same(binary, text):
    """Numbers in arrays are 32-bit where XGBoost's are."""
    if isinstance(text, dict):
        assert binary.keys() == text.keys()
        for name in text:
            assert_same(binary[name], text[name])
    elif isinstance(text, list):
        numbers = joined([binary]) if isinstance(binary, tuple) else np.array(binary)
        if isinstance(binary, tuple) or not text or not isinstance(text[0], dict):
            assert numbers.tolist() == np.array(text, dtype=numbers.dtype).tolist()
            return
        for mine, its in zip(binary, text, strict=True):
            assert_same(mine, its)
    else:
        assert binary == text


@pytest.mark.parametrize("name", MODELS)
def test_the_binary_json_says_what_the_json_says(name):
    binary, text = documents(name)
    assert_same(read_ubj(binary), json.loads(text))


def test_arrays_of_several_types_are_joined():
    arrays = [(ord("i"), b"\xff"), (ord("l"), b"\x00\x01\x00\x00"), (ord("i"), b"")]
    assert (joined(arrays).tolist(), joined([]).tolist(), lengths(arrays)) == ([-1, 65536], [], [1, 1, 0])


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
@settings(max_examples=200)
def test_what_is_damaged_is_read_or_refused(place, byte, cut):
    document = SMALL[: place % len(SMALL)] if cut else bytearray(SMALL)
    if not cut:
        document[place % len(SMALL)] = byte
    try:
        read = read_ubj(bytes(document))
    except ValueError:
        return
    assert (isinstance(read, dict), cut) == (True, False)


def test_a_small_document():
    read = read_ubj(SMALL)
    assert joined([read.pop("x")]).tolist() == [1.0]
    assert read == {"name": "gb", "n": [5, 256], "y": None, "z": True}
