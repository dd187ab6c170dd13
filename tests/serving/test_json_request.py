"""What `metamodel serve` reads without MLflow's code gets the answer that MLflow's code gives."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metamodel
from metamodel.flavor.load import load_model
from metamodel.serving.scorer import Reply, Scorer

JSON = "application/json"
NAMES = ["country", "store", "price", "count", "promo", "small"]


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "country": np.repeat(["FR", "DE", "é\U0001f989"], 40),
            "store": np.tile(np.repeat([1, 2], 20), 3),
            "price": rng.normal(size=120),
            "count": rng.integers(0, 9, 120),
            "promo": rng.integers(0, 2, 120).astype(bool),
            "small": rng.normal(size=120).astype("float32"),
        }
    )
    amount = table["price"] + table["store"] + rng.normal(size=120)
    return table.assign(amount=amount, many=np.where(amount > 1.5, "many", "few"), code=np.where(amount > 1.5, 2, 1))


def _train(target: str, estimator: str, tmp_path_factory: pytest.TempPathFactory, **options: Any) -> Scorer:
    features = {"features": NAMES[2:], "n_jobs": 1, "holdout": 0, **options}
    path = tmp_path_factory.mktemp("payloads") / "bundle"
    metamodel.train(_table(), ["country", "store"], target, estimator, output_dir=path, **features)
    return Scorer(load_model(path), max_rows=1000)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return _train("amount", "ridge", tmp_path_factory, stack=True, unknown="fallback", prune=False)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return _train("many", "decision_tree", tmp_path_factory, unknown="null")


@pytest.fixture(scope="module")
def integers(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return _train("code", "logistic_regression", tmp_path_factory, unknown="error")


@pytest.fixture(scope="module", params=["regression", "texts", "integers"])
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return request.getfixturevalue(request.param)


def _both(scorer: Scorer, body: bytes) -> tuple[Reply | None, Reply]:
    request = scorer.read(body, JSON)
    return None if request is None else scorer.answer(request), scorer.answer_by_mlflow(body, JSON)


def _split(rows: list[list[Any]], names: list[str]) -> Any:
    return {"dataframe_split": {"columns": names, "data": rows}}


LAYOUTS = {
    "split": _split,
    "split with an index": lambda rows, names: {
        "dataframe_split": {"columns": names, "data": rows, "index": [7] * len(rows)}
    },
    "records": lambda rows, names: {"dataframe_records": [dict(zip(names, row, strict=True)) for row in rows]},
    "instances": lambda rows, names: {"instances": [dict(zip(names, row, strict=True)) for row in rows]},
    "inputs of records": lambda rows, names: {"inputs": [dict(zip(names, row, strict=True)) for row in rows]},
    "inputs of columns": lambda rows, names: {
        "inputs": {name: [row[i] for row in rows] for i, name in enumerate(names)}
    },
}
COUNTRIES = st.sampled_from(["FR", "DE", "é\U0001f989", "XX", "", "FR\0", None, 7, True, "\ud800", ["FR"]])
STORES = st.sampled_from([1, 2, 3, 1.0, 1.5, "1", True, None, 2**53 + 1, 2**63, 2**70, -1])
NUMBERS = st.one_of(
    st.floats(allow_nan=False, width=32),
    st.sampled_from([0, 1, -0.0, True, None, 2**53 + 1, 2**63, 2**70, "text", "1.5", [1.0], {"a": 1}, float("nan")]),
)
PLAIN_NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.integers(-9, 9), st.booleans(), st.none())
ODD_ROWS = st.lists(st.tuples(COUNTRIES, STORES, NUMBERS, NUMBERS, NUMBERS, NUMBERS).map(list), max_size=4)
PLAIN_ROWS = st.lists(
    st.tuples(st.sampled_from(["FR", "DE", "XX"]), st.sampled_from([1, 2, 3]), *[PLAIN_NUMBERS] * 4).map(list),
    min_size=1,
    max_size=40,
)
PARAMS = st.sampled_from(
    [
        *[
            None,
            {},
            {"detail": True},
            {"unknown": "null", "detail": True},
            {"unknown": "fallback"},
            {"unknown": "error"},
        ],
        *[{"predict_method": "predict_proba", "unknown": "null"}, {"predict_method": "guess"}, {"detail": "yes"}],
        *[{"colour": 1}, {"detail": None}, [], ["detail"], {"predict_method": "predict"}, {"detail": 1}],
    ]
)


def _assert_equal(scorer: Scorer, payload: dict[str, Any], params: Any, *, plain: bool = False) -> None:
    body = json.dumps(payload if params is None else {**payload, "params": params}).encode()
    ours, theirs = _both(scorer, body)
    assert ours is not None or not plain
    if ours is not None:
        assert (ours.status, ours.media_type) == (theirs.status, theirs.media_type)
        assert repr(json.loads(ours.body)) == repr(json.loads(theirs.body))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@given(rows=PLAIN_ROWS, params=PARAMS)
@settings(max_examples=10)
def test_plain_rows_get_the_same_answers(scorer: Scorer, layout: Any, rows: list[list[Any]], params: Any) -> None:
    _assert_equal(scorer, layout(rows, NAMES), params)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@given(rows=ODD_ROWS, params=PARAMS, names=st.permutations(NAMES))
@settings(max_examples=25)
def test_odd_rows_get_the_same_answers_where_they_are_not_left_to_mlflow(
    regression: Scorer, layout: Any, rows: list[list[Any]], params: Any, names: list[str]
) -> None:
    rows = [[row[NAMES.index(name)] for name in names] for row in rows]
    _assert_equal(regression, layout(rows, names), params)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("name", ["regression", "texts", "integers"])
@pytest.mark.parametrize("n_rows", [1, 40])
def test_ordinary_requests_take_the_short_way(
    name: str, layout: Any, n_rows: int, request: pytest.FixtureRequest
) -> None:
    scorer = request.getfixturevalue(name)
    rows = [["FR", 1, 0.5, 3, True, 0.25]] * n_rows
    _assert_equal(scorer, layout(rows, NAMES), None, plain=True)


def test_a_header_of_very_many_names_is_read_and_not_remembered(regression: Scorer) -> None:
    before = regression.reader._plain._remembered_positions.cache_info().currsize
    names = [*NAMES, *(f"further {i}" for i in range(1000))]
    _assert_equal(regression, _split([["FR", 1, 0.5, 3, True, 0.25, *[None] * 1000]], names), None, plain=True)
    assert regression.reader._plain._remembered_positions.cache_info().currsize == before
