"""Equal children have equal bytes, whichever process pickled them."""

import pickle

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from metamodel.bundle.canonical_pickle import canonical, dumps
from metamodel.training.train import train

TEXTS = st.text(max_size=3) | st.sampled_from(["a" * 255, "é" * 200, "x" * 70_000])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.binary(max_size=300)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6) | st.tuples(inner, inner),
    max_leaves=40,
)


def apart(value):
    """The same value, in which no two texts are one object."""
    if isinstance(value, str):
        return "".join([value[:1], value[1:]]) if len(value) > 1 else value
    if isinstance(value, list | tuple):
        return type(value)(map(apart, value))
    if isinstance(value, dict):
        return {apart(name): apart(item) for name, item in value.items()}
    return value


@given(VALUES)
def test_what_is_read_is_what_was_written(value):
    assert pickle.loads(canonical(pickle.dumps(value, protocol=5))) == value


@given(VALUES)
def test_which_texts_are_one_object_never_matters(value):
    both = [value, value]
    assert dumps([apart(value), apart(value)]) == dumps([apart(value), apart(value)])
    assert pickle.loads(dumps(both)) == both


@given(st.lists(TEXTS, min_size=1, max_size=400), st.randoms())
def test_many_texts_many_times_are_each_written_once(texts, random):
    drawn = [random.choice(texts) for _ in range(600)]
    written = dumps([apart(text) for text in drawn])
    assert written == dumps([apart(text) for text in drawn])
    assert pickle.loads(written) == drawn


def test_objects_that_are_shared_stay_shared():
    shared = ["a", "b"]
    first, second, circle = pickle.loads(dumps([shared, shared, (loop := {}, loop.setdefault("me", loop))]))
    assert first is second
    assert circle[0]["me"] is circle[0]


def test_older_protocols_are_left_as_they_are():
    blob = pickle.dumps(["a", "a"], protocol=0)
    assert canonical(blob) == blob


def test_an_array_that_came_from_another_process_is_written_like_one_of_this():
    here = [np.array(["u", None], dtype=object), np.arange(3.0), np.array(["2024-01-01"], dtype="M8[ns]")]
    there = pickle.loads(pickle.dumps(here))
    assert there[0].dtype is not np.dtype(object)  # otherwise nothing is shown here
    assert dumps([*here, here[0].dtype.name]) == dumps([*there, "object"])


def test_lambdas_are_taken():
    assert pickle.loads(dumps(FunctionTransformer(lambda x: x + 1))).transform(np.ones(1)).tolist() == [2.0]


def table(rows=60):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": np.repeat(["a", "b", "c", "d"], rows), "x": rng.normal(size=4 * rows)})
    frame["kind"] = rng.choice(["u", "v", "w"], 4 * rows)
    return frame.assign(y=frame["x"] + rng.normal(size=4 * rows), label=np.where(frame["x"] > 0, "yes", "no"))


ENCODED = make_pipeline(
    make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough"), Ridge()
)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        ("ridge", "y"),
        (ENCODED, "y"),
        (RandomForestRegressor(3, random_state=0), "y"),
        (HistGradientBoostingClassifier(max_iter=3), "label"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "label"),
    ],
)
def test_one_process_and_two_write_the_same_children(estimator, target):
    features = ["x", "kind"] if estimator in ("ridge", ENCODED) else ["x"]
    digests = [
        train(table(), "shop", target, estimator, features=features, n_jobs=n_jobs).ledger["sha256"].tolist()
        for n_jobs in (1, 2)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 4


def test_it_is_what_cloudpickle_writes_but_for_the_repetitions():
    child = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    assert len(dumps(child)) <= len(cloudpickle.dumps(child, protocol=5))
    assert pickle.loads(dumps(child)).coef_.tolist() == child.coef_.tolist()
