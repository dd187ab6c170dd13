"""`metamodel serve` beside `mlflow models serve`, both real, asked the same requests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from servers import Server, metamodel_server, scoring_server
from serving import COLUMNS, CSV, JSON, PARQUET, ROW, parquet, post, records, strict

import metamodel
from metamodel.serving.scorer import Scorer

Pair = tuple[Server, Server]


def _pair(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with (
        scoring_server(uri, tmp_path_factory.mktemp("mlflow")) as theirs,
        metamodel_server(uri, tmp_path_factory.mktemp("metamodel")) as ours,
    ):
        yield ours, theirs


@pytest.fixture(scope="module")
def plain(plain_model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Children that take arrays: plain requests take the short way."""
    yield from _pair(plain_model, tmp_path_factory)


@pytest.fixture(scope="module")
def mixed(table: pd.DataFrame, log: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Children that take frames with text: every request goes through MLflow's code."""
    yield from _pair(log(table, estimator="decision_tree"), tmp_path_factory)


def _assert_same(pair: Pair, body: str | bytes, content_type: str = JSON) -> requests.Response:
    ours, theirs = (post(server, body, content_type) for server in pair)
    assert (ours.status_code, ours.headers["Content-Type"]) == (theirs.status_code, theirs.headers["Content-Type"])
    if ours.headers["Content-Type"] == JSON:
        assert repr(strict(ours.text)) == repr(strict(theirs.text))
    else:
        assert ours.text == theirs.text
    return ours


_VALUES = list(ROW.values())
_SPLIT = {"columns": COLUMNS, "data": [_VALUES, _VALUES]}
_CSV_HEAD = ",".join(COLUMNS)
REQUESTS: dict[str, tuple[str | bytes, str]] = {
    # every layout
    "split": (json.dumps({"dataframe_split": _SPLIT}), JSON),
    "split, index": (json.dumps({"dataframe_split": {**_SPLIT, "index": [3, 3]}}), JSON),
    "split, index too short": (json.dumps({"dataframe_split": {**_SPLIT, "index": [3]}}), JSON),
    "split, no columns": (json.dumps({"dataframe_split": {"data": [_VALUES]}}), JSON),
    "split, ragged": (json.dumps({"dataframe_split": {**_SPLIT, "data": [_VALUES, _VALUES[:2]]}}), JSON),
    "split, column twice": (json.dumps({"dataframe_split": {"columns": ["price"] * 5, "data": [_VALUES]}}), JSON),
    "split, no rows": (json.dumps({"dataframe_split": {**_SPLIT, "data": []}}), JSON),
    "split, more columns": (
        json.dumps({"dataframe_split": {"columns": [*COLUMNS, "é"], "data": [[*_VALUES, []]]}}),
        JSON,
    ),
    "split, another key": (json.dumps({"dataframe_split": {**_SPLIT, "rows": 1}}), JSON),
    "records": (records({}, {"store": 2}), JSON),
    "records, no rows": (json.dumps({"dataframe_records": []}), JSON),
    "records, other columns in each": (records({"a": 1}, {"b": 2}), JSON),
    "records, a hole": (json.dumps({"dataframe_records": [ROW, {k: v for k, v in ROW.items() if k != "price"}]}), JSON),
    "instances": (json.dumps({"instances": [ROW, ROW | {"store": 2}]}), JSON),
    "instances, true among numbers": (json.dumps({"instances": [ROW, ROW | {"store": True}]}), JSON),
    "instances, no rows": (json.dumps({"instances": []}), JSON),
    "inputs of records": (json.dumps({"inputs": [ROW]}), JSON),
    "inputs of columns": (json.dumps({"inputs": {name: [value] * 3 for name, value in ROW.items()}}), JSON),
    "inputs of values": (json.dumps({"inputs": ROW}), JSON),
    "inputs of uneven columns": (json.dumps({"inputs": {**{n: [v] for n, v in ROW.items()}, "price": [1, 2]}}), JSON),
    "csv": (f"{_CSV_HEAD}\nFR,1,0.5,3,red\nNA,2,,4,007\n", CSV),
    "csv, quoted": (f'{_CSV_HEAD}\n"FR","1","0.5","3","re""d"\n', CSV),
    "csv, bad keys": (f"{_CSV_HEAD}\n,1,0.5,3,red\nFR,1.5,0.5,3,red\nFR,x,0.5,3,red\n", CSV),
    "csv, no rows": (f"{_CSV_HEAD}\n", CSV),
    "csv, empty": ("", CSV),
    "csv, ragged": (f"{_CSV_HEAD}\n1,2,3,4,5,6,7\n", CSV),
    "csv, column twice": (f"{_CSV_HEAD},price\nFR,1,0.5,3,red,1\n", CSV),
    "csv, not UTF-8": (b"country\n\xff\xfe", CSV),
    "csv, CRLF": (f"{_CSV_HEAD}\r\nFR,1,0.5,3,red\r\n", CSV),
    "parquet": (parquet(), PARQUET),
    "parquet, damaged": (b"PAR1 nonsense PAR1", PARQUET),
    # values
    "unknown groups": (records({"country": "XX"}, {"store": 9}, {}), JSON),
    "unknown groups, error": (records({"country": "XX"}, params={"unknown": "error"}), JSON),
    "unknown groups, null": (records({"country": "XX"}, params={"unknown": "null", "detail": True}), JSON),
    "unknown groups, fallback": (records({"country": "XX"}, params={"unknown": "fallback", "detail": True}), JSON),
    "odd stores": (
        records(*({"store": x} for x in (1.0, 1.5, "1", True, None, 2**53 + 1, 2**70)), params={"detail": True}),
        JSON,
    ),
    "one odd store": (records({"store": 1.5}, params={"detail": True}), JSON),
    "odd countries": (
        records(*({"country": x} for x in ("", None, 7, "\ud800", "FR\0", ["FR"])), params={"detail": True}),
        JSON,
    ),
    "null features": (records({"price": None}, {"count": None}), JSON),
    "huge numbers": (records({"price": 2**70}, {"count": 2**63}, {"price": 1e308}), JSON),
    "a number beyond floats": (json.dumps({"dataframe_records": [{**ROW, "price": 10**400}]}), JSON),
    "infinite": (records({"price": float("inf")}), JSON),
    "NaN": (records({"price": float("nan")}), JSON),
    "booleans": (records({"price": True, "count": False}), JSON),
    "text for a number": (records({"price": "marker-41c7"}), JSON),
    "text for a whole number": (records({"count": "marker-41c7"}), JSON),
    "list for a number": (records({"price": [1.0]}), JSON),
    "dict for a number": (records({"price": {"marker-41c7": 1}}), JSON),
    "missing feature": (json.dumps({"dataframe_records": [{"country": "FR", "store": 1, "price": 987651.25}]}), JSON),
    "missing group column": (
        json.dumps({"dataframe_records": [{"price": 987651.25, "count": 1, "colour": "red"}]}),
        JSON,
    ),
    "unicode keys": (records({"été": 1, "\U0001f989": 2}), JSON),
    # bodies that are none
    "no JSON": ('{"dataframe_records": [{"marker-41c7"', JSON),
    "empty body": ("", JSON),
    "a list": ('["marker-41c7"]', JSON),
    "a number": ("7", JSON),
    "null": ("null", JSON),
    "no table": ('{"rows": ["marker-41c7"]}', JSON),
    "two tables": (json.dumps({"instances": [ROW], "inputs": [ROW]}), JSON),
    "table of text": ('{"dataframe_split": "marker-41c7"}', JSON),
    "records of numbers": ('{"dataframe_records": [1, 987651.25]}', JSON),
    "inputs of text": ('{"inputs": "marker-41c7"}', JSON),
    "not UTF-8": (b'{"dataframe_records": "\xff"}', JSON),
    "UTF-16": (records({}).encode("utf-16"), JSON),
    "byte order mark": (b"\xef\xbb\xbf" + records({}).encode(), JSON),
    "key twice": (
        '{"dataframe_records": [{"country": "XX", "country": "FR", "store": 1, "price": 1, "count": 1}]}',
        JSON,
    ),
    "chat": ('{"messages": [{"role": "user", "content": "marker-41c7"}]}', JSON),
    "signature name": (json.dumps({"inputs": [ROW], "signature_name": "serving_default"}), JSON),
    # params
    **{
        f"params {params}": (records({}, params=params), JSON)
        for params in (
            *(
                None,
                {},
                [],
                ["detail"],
                "detail",
                1,
                {"detail": True},
                {"detail": 1},
                {"detail": "yes"},
                {"detail": None},
            ),
            *(
                {"colour": "red"},
                {"predict_method": "guess"},
                {"predict_method": 3},
                {"predict_method": "predict_proba"},
            ),
            *({"unknown": "ignore"}, {"unknown": None}, {"unknown": "null", "detail": False}),
        )
    },
    # content types
    "charset": (records({}), "application/json; charset=utf-8"),
    "charset, upper case": (records({}), "application/json;charset=UTF-8"),
    "another charset": (records({}), "application/json; charset=latin-1"),
    "another parameter": (records({}), "application/json; profile=x"),
    "another type": (records({}), "text/html"),
    "type in upper case": (records({}), "Application/JSON"),
}


@pytest.mark.server
@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_answered_as_mlflows_server_does(plain: Pair, name: str) -> None:
    ours = _assert_same(plain, *REQUESTS[name])
    if ours.status_code != 200:
        for leak in ("marker-41c7", "987651", "Traceback", "site-packages"):
            assert leak not in ours.text


@pytest.mark.server
@pytest.mark.parametrize("name", REQUESTS)
def test_children_that_take_frames_are_asked_as_by_mlflows_server(mixed: Pair, name: str) -> None:
    _assert_same(mixed, *REQUESTS[name])


@pytest.mark.server
def test_large_requests_are_answered_as_mlflows_server_does(plain: Pair, table: pd.DataFrame) -> None:
    rows = json.loads(table.drop(columns="sales").sample(3000, random_state=0, replace=True).to_json(orient="split"))
    answer = _assert_same(plain, json.dumps({"dataframe_split": rows}))
    assert len(answer.json()["predictions"]) == 3000


@pytest.mark.server
@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_the_other_paths_answer_as_mlflows_server_does(plain: Pair, path: str) -> None:
    ours, theirs = (requests.get(f"{server.url}{path}", timeout=60) for server in plain)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]


@pytest.mark.server
@pytest.mark.parametrize(("method", "path"), [("GET", "/invocations"), ("POST", "/ping"), ("GET", "/nothing")])
def test_wrong_paths_and_methods_are_refused_as_by_mlflows_server(plain: Pair, method: str, path: str) -> None:
    ours, theirs = (requests.request(method, f"{server.url}{path}", timeout=60) for server in plain)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)


@pytest.mark.server
def test_by_design_a_request_without_a_content_type_is_refused_and_no_internal_error(plain: Pair) -> None:
    ours, theirs = (post(server, records({}), None) for server in plain)
    assert (ours.status_code, theirs.status_code) == (415, 500)
    assert "names no Content-Type" in ours.text


def test_the_bundle_of_a_logged_model_is_served_without_what_was_logged(
    table: pd.DataFrame, tracking_uri: str, tmp_path: Path
) -> None:
    rows = table.drop(columns="colour")
    result = metamodel.train(rows, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=tmp_path / "b")
    uri = metamodel.log_model(result, detail=True, report=False).model_uri
    logged = metamodel.load_model(uri)
    for model, columns in ((logged, 6), (metamodel.load_model(logged.bundle.path), 2)):
        scorer = Scorer(model, max_rows=500)
        request = scorer.read(records({}).encode(), JSON)
        plain, theirs = scorer.answer(request), scorer.answer_by_mlflow(records({}).encode(), JSON)
        assert json.loads(plain.body) == json.loads(theirs.body)
        assert len(json.loads(plain.body)["predictions"][0]) == columns
