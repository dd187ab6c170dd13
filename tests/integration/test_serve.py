"""`metamodel serve` beside `mlflow models serve`, both real, asked the same requests; and what only ours does."""

import asyncio
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from edge_children import Slow
from places import IMPORTS
from servers import Server, metamodel_server, scoring_server

import metamodel
from metamodel.serving import app
from metamodel.serving.app import Limits, Service
from metamodel.serving.json_request import PlainRequest
from metamodel.serving.prometheus import Figures
from metamodel.serving.scorer import Reply, Scorer

pytestmark = pytest.mark.server

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
COLUMNS = ["country", "store", "price", "count", "colour"]
ROW = {"country": "FR", "store": 1, "price": 0.5, "count": 3, "colour": "red"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "country": np.repeat(["FR", "DE", "NA"], 40),
            "store": np.tile(np.repeat([1, 2], 20), 3),
            "price": rng.normal(size=120),
            "count": rng.integers(0, 9, 120),
            "colour": rng.choice(["red", "blue", "007"], 120),
        }
    )
    return frame.assign(sales=frame["price"] * 2 + frame["store"] + rng.normal(size=120))


def _log(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, **options: Any) -> str:
    path = tmp_path_factory.mktemp("serve") / "bundle"
    result = metamodel.train(
        table, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=path, **{"estimator": "ridge", **options}
    )
    return metamodel.log_model(result).model_uri


Pair = tuple[Server, Server]


def _pair(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with (
        scoring_server(uri, tmp_path_factory.mktemp("mlflow")) as theirs,
        metamodel_server(uri, tmp_path_factory.mktemp("metamodel")) as ours,
    ):
        yield ours, theirs


@pytest.fixture(scope="module")
def plain_model(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _log(table.drop(columns="colour"), tmp_path_factory, unknown="fallback", stack=True)


@pytest.fixture(scope="module")
def plain(plain_model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Children that take arrays: plain requests take the short way."""
    yield from _pair(plain_model, tmp_path_factory)


@pytest.fixture(scope="module")
def mixed(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Children that take frames with text: every request goes through MLflow's code."""
    yield from _pair(_log(table, tmp_path_factory, estimator="decision_tree"), tmp_path_factory)


def _post(server: Server, body: str | bytes, content_type: str | None = JSON) -> requests.Response:
    data = body.encode() if isinstance(body, str) else body
    headers = {} if content_type is None else {"Content-Type": content_type}
    return requests.post(f"{server.url}/invocations", data=data, headers=headers, timeout=60)


def _strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON: {text}")

    return json.loads(text, parse_constant=refuse)


def _assert_same(pair: Pair, body: str | bytes, content_type: str = JSON) -> requests.Response:
    ours, theirs = (_post(server, body, content_type) for server in pair)
    assert (ours.status_code, ours.headers["Content-Type"]) == (theirs.status_code, theirs.headers["Content-Type"])
    if ours.headers["Content-Type"] == JSON:
        assert repr(_strict(ours.text)) == repr(_strict(theirs.text))
    else:
        assert ours.text == theirs.text
    return ours


def _records(*changes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"dataframe_records": [ROW | change for change in changes], **more})


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame([ROW, ROW]).to_parquet(buffer, index=False)
    return buffer.getvalue()


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
    "records": (_records({}, {"store": 2}), JSON),
    "records, no rows": (json.dumps({"dataframe_records": []}), JSON),
    "records, other columns in each": (_records({"a": 1}, {"b": 2}), JSON),
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
    "parquet": (_parquet(), PARQUET),
    "parquet, damaged": (b"PAR1 nonsense PAR1", PARQUET),
    # values
    "unknown groups": (_records({"country": "XX"}, {"store": 9}, {}), JSON),
    "unknown groups, error": (_records({"country": "XX"}, params={"unknown": "error"}), JSON),
    "unknown groups, null": (_records({"country": "XX"}, params={"unknown": "null", "detail": True}), JSON),
    "unknown groups, fallback": (_records({"country": "XX"}, params={"unknown": "fallback", "detail": True}), JSON),
    "odd stores": (
        _records(*({"store": x} for x in (1.0, 1.5, "1", True, None, 2**53 + 1, 2**70)), params={"detail": True}),
        JSON,
    ),
    "one odd store": (_records({"store": 1.5}, params={"detail": True}), JSON),
    "odd countries": (
        _records(*({"country": x} for x in ("", None, 7, "\ud800", "FR\0", ["FR"])), params={"detail": True}),
        JSON,
    ),
    "null features": (_records({"price": None}, {"count": None}), JSON),
    "huge numbers": (_records({"price": 2**70}, {"count": 2**63}, {"price": 1e308}), JSON),
    "a number beyond floats": (json.dumps({"dataframe_records": [{**ROW, "price": 10**400}]}), JSON),
    "infinite": (_records({"price": float("inf")}), JSON),
    "NaN": (_records({"price": float("nan")}), JSON),
    "booleans": (_records({"price": True, "count": False}), JSON),
    "text for a number": (_records({"price": "marker-41c7"}), JSON),
    "text for a whole number": (_records({"count": "marker-41c7"}), JSON),
    "list for a number": (_records({"price": [1.0]}), JSON),
    "dict for a number": (_records({"price": {"marker-41c7": 1}}), JSON),
    "missing feature": (json.dumps({"dataframe_records": [{"country": "FR", "store": 1, "price": 987651.25}]}), JSON),
    "missing group column": (
        json.dumps({"dataframe_records": [{"price": 987651.25, "count": 1, "colour": "red"}]}),
        JSON,
    ),
    "unicode keys": (_records({"été": 1, "\U0001f989": 2}), JSON),
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
    "UTF-16": (_records({}).encode("utf-16"), JSON),
    "byte order mark": (b"\xef\xbb\xbf" + _records({}).encode(), JSON),
    "key twice": (
        '{"dataframe_records": [{"country": "XX", "country": "FR", "store": 1, "price": 1, "count": 1}]}',
        JSON,
    ),
    "chat": ('{"messages": [{"role": "user", "content": "marker-41c7"}]}', JSON),
    "signature name": (json.dumps({"inputs": [ROW], "signature_name": "serving_default"}), JSON),
    # params
    **{
        f"params {params}": (_records({}, params=params), JSON)
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
    "charset": (_records({}), "application/json; charset=utf-8"),
    "charset, upper case": (_records({}), "application/json;charset=UTF-8"),
    "another charset": (_records({}), "application/json; charset=latin-1"),
    "another parameter": (_records({}), "application/json; profile=x"),
    "another type": (_records({}), "text/html"),
    "type in upper case": (_records({}), "Application/JSON"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_answered_as_mlflows_server_does(plain: Pair, name: str) -> None:
    ours = _assert_same(plain, *REQUESTS[name])
    if ours.status_code != 200:
        for leak in ("marker-41c7", "987651", "Traceback", "site-packages"):
            assert leak not in ours.text


@pytest.mark.parametrize("name", REQUESTS)
def test_children_that_take_frames_are_asked_as_by_mlflows_server(mixed: Pair, name: str) -> None:
    _assert_same(mixed, *REQUESTS[name])


def test_large_requests_are_answered_as_mlflows_server_does(plain: Pair, table: pd.DataFrame) -> None:
    rows = json.loads(table.drop(columns="sales").sample(3000, random_state=0, replace=True).to_json(orient="split"))
    answer = _assert_same(plain, json.dumps({"dataframe_split": rows}))
    assert len(answer.json()["predictions"]) == 3000


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_the_other_paths_answer_as_mlflows_server_does(plain: Pair, path: str) -> None:
    ours, theirs = (requests.get(f"{server.url}{path}", timeout=10) for server in plain)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/invocations"), ("POST", "/ping"), ("GET", "/nothing")])
def test_wrong_paths_and_methods_are_refused_as_by_mlflows_server(plain: Pair, method: str, path: str) -> None:
    ours, theirs = (requests.request(method, f"{server.url}{path}", timeout=10) for server in plain)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)


def test_by_design_a_request_without_a_content_type_is_refused_and_no_internal_error(plain: Pair) -> None:
    ours, theirs = (_post(server, _records({}), None) for server in plain)
    assert (ours.status_code, theirs.status_code) == (415, 500)
    assert "names no Content-Type" in ours.text


# -------- one server of two workers, on a bundle's own directory
@pytest.fixture(scope="module")
def bundle(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bare") / "bundle"
    rows = table.drop(columns="colour")
    # Not stacked, so that the cache has something to count.
    metamodel.train(rows, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=path, stack=False)
    return path


@pytest.fixture(scope="module")
def workers(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with metamodel_server(bundle, tmp_path_factory.mktemp("workers"), 2, max_rows=500, max_body_mb=0.1) as server:
        yield server


def _figure(server: Server, name: str) -> float:
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def _pids(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def _refused(answer: requests.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    assert message in _strict(answer.text)["message"]


@pytest.mark.tableless
def test_eight_clients_get_right_answers_from_two_workers_and_the_metrics_are_their_sum(
    workers: Server, bundle: Path, table: pd.DataFrame
) -> None:
    assert len(_pids(workers)) == 2
    rows = table.drop(columns=["sales", "colour"])
    expected = metamodel.load_model(bundle).predict(rows)["prediction"].tolist()
    names = [
        'metamodel_requests_total{code="200"}',
        'metamodel_rows_total{status="child"}',
        "metamodel_request_seconds_count",
    ]
    before = [_figure(workers, name) for name in names]

    def ask(number: int) -> list[float]:
        with requests.Session() as session:  # a connection each: workers take turns
            found = []
            for i in range(number, 120, 8):
                body = json.dumps(
                    {"dataframe_records": json.loads(rows.iloc[[i]].to_json(orient="records", double_precision=15))}
                )
                answer = session.post(
                    f"{workers.url}/invocations",
                    body,
                    headers={"Content-Type": JSON, "Connection": "close"},
                    timeout=60,
                )
                found.append(answer.json()["predictions"][0]["prediction"])
            return found

    with ThreadPoolExecutor(8) as clients:
        answered = list(clients.map(ask, range(8)))
    for number in range(8):
        np.testing.assert_allclose(answered[number], expected[number::8], rtol=1e-9)
    after = [_figure(workers, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [120, 120, 120]
    assert _figure(workers, "metamodel_cache_entries") > 0
    assert _figure(workers, "metamodel_cache_hits_total") + _figure(workers, "metamodel_cache_misses_total") >= 120


@pytest.mark.tableless
def test_too_many_rows_are_refused_whatever_the_format(workers: Server) -> None:
    rows = [[*_VALUES[:4]] for _ in range(501)]
    body = json.dumps({"dataframe_split": {"columns": COLUMNS[:4], "data": rows}})
    _refused(_post(workers, body), 413, "The request has 501 rows; this server takes 500.")
    lines = "\n".join([",".join(COLUMNS[:4]), *["FR,1,0.5,3"] * 501])
    _refused(_post(workers, lines, CSV), 413, "The request has 501 rows; this server takes 500.")


@pytest.mark.tableless
def test_too_large_bodies_are_refused_before_they_are_read(workers: Server) -> None:
    _refused(_post(workers, "x" * 200_000), 413, "The request's body is too large. This server takes 104,857 bytes.")
    parts = (b"x" * 50_000 for _ in range(4))
    _refused(
        requests.post(f"{workers.url}/invocations", data=parts, timeout=60), 413, "The request's body is too large."
    )
    assert _figure(workers, 'metamodel_requests_total{code="413"}') >= 2


@pytest.mark.tableless
def test_a_worker_that_is_killed_is_started_again_and_goes_on_counting(workers: Server) -> None:
    counted = _figure(workers, 'metamodel_requests_total{code="200"}')
    victim = _pids(workers)[0]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (victim in _pids(workers) or len(_pids(workers)) < 2):
        time.sleep(0.05)
    assert len(_pids(workers)) == 2
    assert _post(workers, _records({})).status_code == 200
    assert _figure(workers, 'metamodel_requests_total{code="200"}') == counted + 1


# -------- signals
@pytest.mark.tableless
@pytest.mark.parametrize("number", [1, 2])
def test_a_signal_under_load_fails_no_request_and_ends_in_order(bundle: Path, tmp_path: Path, number: int) -> None:
    body = _records({"store": 1}).encode()
    statuses: list[int] = []
    under_way = threading.Event()

    def ask(url: str) -> None:
        """Ask until an answer says that the server wants no more on this connection."""
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        while True:
            connection.request("POST", "/invocations", body, {"Content-Type": JSON})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            if len(statuses) > 50:
                under_way.set()
            if answer.getheader("Connection") == "close":
                return

    with metamodel_server(bundle, tmp_path, number) as server, ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(ask, server.url) for _ in range(8)]
        assert under_way.wait(60)
        os.kill(server.process.pid, signal.SIGTERM)
        for client in asked:
            client.result(60)
        assert server.process.wait(60) == 0
    assert len(statuses) > 50
    assert set(statuses) == {200}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Children that take as many seconds as the feature says."""
    path = tmp_path_factory.mktemp("slow") / "bundle"
    frame = pd.DataFrame({"store": [1, 1], "x": [0.0, 0.0], "y": [1.0, 1.0]})
    metamodel.train(frame, "store", "y", Slow(), holdout=0, n_jobs=1, output_dir=path, duplicates="keep")
    return path


def _slowly(seconds: float, rows: int = 1) -> str:
    # Padded beyond what is answered on the event loop.
    body = {"dataframe_split": {"columns": ["store", "x", "padding"], "data": [[1, seconds, "x" * 5000]] * rows}}
    return json.dumps(body)


@pytest.mark.tableless
def test_a_slow_request_does_not_keep_the_server_from_saying_that_it_is_well(slow: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": IMPORTS}
    with (
        metamodel_server(slow, tmp_path, env=path, timeout=1, max_waiting=2, threads=1) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        waiting = [pool.submit(_post, server, _slowly(4)) for _ in range(2)]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _figure(server, "metamodel_requests_in_pool") < 2:
            time.sleep(0.02)
        _refused(_post(server, _slowly(0)), 503, "The server has too much to do.")
        assert requests.get(f"{server.url}/ping", timeout=1).status_code == 200
        for answer in waiting:
            _refused(answer.result(), 504, "The answer took longer than 1 s.")


@pytest.mark.tableless
def test_what_is_under_way_is_finished_after_the_signal(slow: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": IMPORTS}
    with metamodel_server(slow, tmp_path, 2, env=path, drain=0) as server, ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(_post, server, _slowly(2))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _figure(server, "metamodel_requests_in_pool") < 1:
            time.sleep(0.02)
        os.kill(server.process.pid, signal.SIGTERM)
        assert waiting.result().json() == {"predictions": [{"prediction": 1.0, "status": "child"}]}
        assert server.process.wait(60) == 0


@pytest.mark.tableless
def test_a_child_that_never_ends_does_not_keep_the_only_worker(slow: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": IMPORTS}
    with metamodel_server(slow, tmp_path, env=path, timeout=1, drain=0) as server:
        _refused(_post(server, _slowly(600)), 504, "The answer took longer than 1 s.")
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0


@pytest.mark.tableless
def test_workers_that_end_before_they_listen_are_given_up_however_long_they_took() -> None:
    program = (
        "from metamodel.serving import workers\n"
        "workers._SOON_SECONDS = 0.0\n"
        "def start(number, about_to_listen): raise SystemExit\n"
        "print(workers.run_several(start, 2, 10))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "1\n"


# -------- the application alone
@pytest.fixture
def service(bundle: Path) -> Iterator[Service]:
    model = metamodel.load_model(bundle, cache_bytes=2**20)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    yield service
    service.close()


def _ask(service: Service, body: str | bytes, *messages: dict[str, Any], kind: str = JSON) -> list[dict[str, Any]]:
    """Send a body, or a first part of it and then the messages; returns what is sent back."""
    data = body.encode() if isinstance(body, str) else body
    waiting = [{"type": "http.request", "body": data, "more_body": bool(messages)}, *messages]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    asyncio.run(service(scope, receive, send))
    return sent


def _threads_of(service: Service, monkeypatch: pytest.MonkeyPatch, *bodies: str) -> list[bool]:
    """Say for each body whether a thread answered it."""
    answer, found = service._scorer.answer, []

    def noted(request: PlainRequest) -> Reply:
        found.append(threading.current_thread() is not threading.main_thread())
        return answer(request)

    monkeypatch.setattr(service._scorer, "answer", noted)
    for body in bodies:
        assert _ask(service, body)[0]["status"] == 200
    return found


def test_a_body_that_breaks_off_is_not_answered(service: Service) -> None:
    assert _ask(service, _records({}), {"type": "http.disconnect"}) == []
    assert service._scorer.model.stats()["rows"] == {}
    assert _ask(service, _records({}))[0]["status"] == 200


def test_whatever_goes_wrong_is_a_counted_500_without_the_rows(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(service._scorer, "answer", fail)
    start, body = _ask(service, _records({"country": "marker-41c7"}))
    assert (start["status"], body["body"]) == (500, b"Internal Server Error")
    assert 'metamodel_requests_total{code="500"} 1.0' in service._figures.all.text().decode()
    assert "marker-41c7" not in caplog.text


def test_only_what_is_in_memory_and_was_not_slow_lately_is_answered_on_the_loop(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_SLOW_SECONDS", 10.0)
    fr, de = _records({}), _records({"country": "DE"})
    assert _threads_of(service, monkeypatch, fr, fr, de, de) == [True, False, True, False]
    monkeypatch.undo()
    service._learn(4.0)
    assert _threads_of(service, monkeypatch, fr, fr) == [True, True]
    for _ in range(400):
        service._learn(0.0)
    assert _threads_of(service, monkeypatch, fr) == [False]


def test_stacked_rows_are_answered_on_the_loop_at_once(plain_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = metamodel.load_model(plain_model)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    monkeypatch.setattr(app, "_SLOW_SECONDS", 10.0)
    assert _threads_of(service, monkeypatch, _records({}), _records({"country": "nowhere"})) == [False, True]
    service.close()


def test_rows_of_parquet_are_counted_before_they_are_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pd.DataFrame([ROW] * 501).to_parquet(buffer, index=False)
    monkeypatch.setattr(pd, "read_parquet", None)
    start, body = _ask(service, buffer.getvalue(), kind=PARQUET)
    assert (start["status"], json.loads(body["body"])["message"]) == (
        413,
        "The request has 501 rows; this server takes 500. Send them in parts.",
    )


def test_a_worker_that_follows_another_one_starts_with_an_empty_pool_and_cache() -> None:
    figures = Figures(2, ["child"])
    first = figures.of_worker(1)
    first.waiting(7)
    first.record(200, "plain", 0.1, 10)
    first._row[first._where["cache entries"]] = 5
    figures.of_worker(1)
    text = figures.text().decode()
    for line in ("metamodel_requests_in_pool 0.0", "metamodel_cache_entries 0.0", 'requests_total{code="200"} 1.0'):
        assert line in text


def test_the_bundle_of_a_logged_model_is_served_without_what_was_logged(
    table: pd.DataFrame, tracking_uri: str, tmp_path: Path
) -> None:
    rows = table.drop(columns="colour")
    result = metamodel.train(rows, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=tmp_path / "b")
    uri = metamodel.log_model(result, detail=True).model_uri
    logged = metamodel.load_model(uri)
    for model, columns in ((logged, 6), (metamodel.load_model(logged.bundle.path), 2)):
        scorer = Scorer(model, max_rows=500)
        request = scorer.read(_records({}).encode(), JSON)
        plain, theirs = scorer.answer(request), scorer.answer_by_mlflow(_records({}).encode(), JSON)
        assert json.loads(plain.body) == json.loads(theirs.body)
        assert len(json.loads(plain.body)["predictions"][0]) == columns


# -------- what cannot be served
def _command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "metamodel", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **env}, check=False)


@pytest.mark.tableless
def test_a_port_that_is_taken_and_a_model_that_is_none_are_one_line(
    workers: Server, tmp_path: Path, bundle: Path
) -> None:
    done = _command(str(bundle), "--port", workers.url.rpartition(":")[2])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Cannot listen on 127.0.0.1" in done.stderr
    done = _command(str(tmp_path / "nothing"), "--port", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "There is no model" in done.stderr


def test_without_the_extra_one_line_names_it(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from metamodel import serving

    monkeypatch.setattr(serving, "_NEEDED", ("orjson", "not_installed"))
    with pytest.raises(
        metamodel.exceptions.InputError, match=r"needs not_installed\. Install it: .*metamodel\[serve\]"
    ):
        serving.serve(str(bundle))
