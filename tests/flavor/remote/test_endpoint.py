"""Children behind scoring servers: a real one, and small ones that can be slow, wrong or dead."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from registered_children import export_all, panel
from servers import HOST, free_port, scoring_server
from small_endpoints import HASTY, LOCAL, Behaviour, Endpoint, feature_rows

import metamodel
from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.flavor.remote import endpoint as endpoints
from metamodel.flavor.remote.endpoint import Breaker, EndpointChild
from metamodel.tracking.references.reference_model import write_references


# -------- many endpoints behind one model
@pytest.mark.server
@pytest.mark.tableless
def test_slow_and_dead_endpoints_fail_in_time_and_the_others_answer(
    start: Callable[..., Endpoint], tmp_path: Path
) -> None:
    frame = panel(12)
    result = metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundled = metamodel.MetaModel(result.bundle_path)
    rows = frame.drop(columns="y").sample(frac=1, random_state=0).reset_index(drop=True)
    models = export_all(bundled, [0, 10, 11], tmp_path / "models")
    # Store 0 is a real scoring server, stores 1 to 9 small ones, stores 10 and 11 are files.
    small = {store: start(factor=store) for store in range(1, 10)}
    settings = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=15, roots=(str(tmp_path),))
    (tmp_path / "server").mkdir()
    with scoring_server(models[0], tmp_path / "server") as server:
        uris = [f"{server.url}/invocations", *(small[store].url for store in range(1, 10)), *map(str, models[1:])]
        children = pd.DataFrame({"store": range(12), "uri": uris})
        path = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=settings)
        model = metamodel.load_model(path)
        model.predict(rows[rows["store"].isin([0, 10, 11])])  # loaded once

        small[4].stop()
        small[7].seconds = 120.0
        started = time.monotonic()
        answers = model.predict(rows, {"detail": True})
        took = time.monotonic() - started

    failing = rows["store"].isin([4, 7])
    assert took < 60  # one deadline, were it not for a busy machine, and not the two minutes of the slow one
    assert set(answers["status"][failing]) == {"failed"}
    assert set(answers["status"][~failing]) == {"child"}
    assert answers["error"][rows["store"] == 7].str.contains("no answer within 15 s").all()
    assert answers["prediction"][failing].isna().all()
    trained = bundled.predict(rows)["prediction"]
    ours = rows["store"].isin([0, 10, 11])
    np.testing.assert_allclose(answers["prediction"][ours], trained[ours], rtol=1e-9)
    others = ~failing & ~ours
    np.testing.assert_allclose(answers["prediction"][others], (rows["x"] * rows["store"])[others], rtol=1e-9)


def test_endpoints_are_asked_side_by_side(start: Callable[..., Endpoint], tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def only_beside_others(store: int) -> Behaviour:
        def answer(rows: list[list[Any]]) -> tuple[int, Any]:
            together.wait(50)  # breaks, so that this one gets no answer, where all eight are not asked at once
            return 200, {"predictions": [x * store for x, _ in rows]}

        return answer

    endpoints = [start(answer=only_beside_others(store)) for store in range(8)]
    rows = panel(8).drop(columns="y")
    children = pd.DataFrame({"store": range(8), "uri": [endpoint.url for endpoint in endpoints]})
    model = metamodel.load_model(write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL))
    answers = model.predict(rows)
    np.testing.assert_allclose(answers["prediction"], rows["x"] * rows["store"], rtol=1e-9)
    assert [endpoint.requests for endpoint in endpoints] == [1] * 8


def test_the_breaker_stops_asking_an_endpoint_that_keeps_failing(
    start: Callable[..., Endpoint], tmp_path: Path
) -> None:
    broken, fine = start(answer=lambda rows: (500, {})), start()
    rows = panel(2).drop(columns="y")
    children = pd.DataFrame({"store": [0, 1], "uri": [broken.url, fine.url]})
    model = metamodel.load_model(write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL))
    for _ in range(10):
        answers = model.predict(rows, {"detail": True})
    assert broken.requests == 3
    assert fine.requests == 10
    assert answers["error"][rows["store"] == 0].str.contains("is left alone for 30 s").all()
    assert set(answers["status"][rows["store"] == 1]) == {"child"}


def test_one_bad_row_does_not_spoil_its_group(start: Callable[..., Endpoint], tmp_path: Path) -> None:
    def choosy(rows: list[list[Any]]) -> tuple[int, Any]:
        if any(row[0] < 0 for row in rows):
            return 400, {"error_code": "BAD_REQUEST"}
        return 200, {"predictions": [row[0] for row in rows]}

    rows = pd.DataFrame({"store": 1, "x": [1.0, 2.0, -3.0, 4.0]})
    children = pd.DataFrame({"store": [1], "uri": [start(answer=choosy).url]})
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL)
    answers = metamodel.load_model(path).predict(rows)
    assert answers["status"].tolist() == ["child", "child", "failed", "child"]
    assert answers["prediction"].dropna().tolist() == [1.0, 2.0, 4.0]


def _long_signature(*whole: int) -> Callable[[list[list[Any]]], tuple[int, Any]]:
    """Answer as MLflow's server does for a model whose signature has long in some columns."""

    def answer(rows: list[list[Any]]) -> tuple[int, Any]:
        for place in whole:
            if any(row[place] is None for row in rows):
                message = f"Failed to convert column {'xyz'[place]} to type 'int64'. Error: {rows}"
                return 400, {"error_code": "BAD_REQUEST", "message": message}
        return 200, {"predictions": [row[0] for row in rows]}

    return answer


def test_a_null_in_a_column_of_long_fails_its_row_alone_and_is_told(
    start: Callable[..., Endpoint], tmp_path: Path
) -> None:
    endpoint = start(answer=_long_signature(0, 1))
    rows = pd.DataFrame({"store": 1, "x": np.arange(300.0), "y": 1.0, "z": np.nan})
    rows.loc[::3, "x"], rows.loc[1::3, "y"], rows.loc[0, "z"] = np.nan, np.nan, 5.5
    children = pd.DataFrame({"store": [1], "uri": [endpoint.url]})
    path = write_references(tmp_path / "b", children, rows.fillna(0.5).assign(t=0.0), "store", "t", settings=LOCAL)
    answers = metamodel.load_model(path).predict(rows, {"detail": True})
    assert answers["status"].tolist() == ["failed", "failed", "child"] * 100
    assert answers["prediction"][2::3].tolist() == rows["x"][2::3].tolist()
    for offset, column in enumerate("xy"):
        (error,) = set(answers["error"][offset::3])
        assert f"status 400: its signature has int64 in {column}, where a value is missing. Log the model" in error
    assert endpoint.requests == 3  # all rows, those that have x, those that have both


def test_a_400_about_a_column_without_nulls_is_halved_as_any_other(
    start: Callable[..., Endpoint], tmp_path: Path
) -> None:
    def choosy(rows: list[list[Any]]) -> tuple[int, Any]:
        if any(row[0] == 2.5 for row in rows):
            return 400, {"message": "Incompatible input types for column x. Can not safely convert float64 to int64."}
        return 200, {"predictions": [row[0] for row in rows]}

    rows = pd.DataFrame({"store": 1, "x": [1.0, 2.0, 2.5, 4.0]})
    children = pd.DataFrame({"store": [1], "uri": [start(answer=choosy).url]})
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL)
    answers = metamodel.load_model(path).predict(rows, {"detail": True})
    assert answers["status"].tolist() == ["child", "child", "failed", "child"]
    assert "2.5" not in answers["error"][2]


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}),
        (302, {}),
        (422, {}),
        (200, {"predictions": []}),
        (200, []),
        (200, {"predictions": ["a", "b", "c", "d"]}),
    ],
)
def test_only_a_400_is_about_the_rows(start: Callable[..., Endpoint], tmp_path: Path, answer: tuple[int, Any]) -> None:
    endpoint = start(answer=lambda rows: answer)
    rows = pd.DataFrame({"store": 1, "x": [1.0, 2.0, 3.0, 4.0]})
    children = pd.DataFrame({"store": [1], "uri": [endpoint.url]})
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL)
    assert set(metamodel.load_model(path).predict(rows)["status"]) == {"failed"}
    assert endpoint.requests == 1


def test_the_halves_of_a_group_share_one_deadline(start: Callable[..., Endpoint], tmp_path: Path) -> None:
    endpoint = start(seconds=0.1, answer=lambda rows: (400, {}))
    rows = pd.DataFrame({"store": 1, "x": np.arange(300.0)})
    children = pd.DataFrame({"store": [1], "uri": [endpoint.url]})
    settings = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=0.5)
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=settings)
    answers = metamodel.load_model(path).predict(rows, {"detail": True})
    assert set(answers["status"]) == {"failed"}
    assert endpoint.requests <= 7


def _dripping(pieces: Sequence[bytes]) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.2)

    return answer


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" " * (1 << 20))


@contextlib.contextmanager
def _answering_with(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that writes to each connection as it likes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            with contextlib.suppress(OSError):
                answer(self.request)

    class Endpoints(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Endpoints((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}/invocations"
        server.shutdown()
        thread.join(60)


@pytest.mark.parametrize(
    ("answer", "settings", "match"),
    [
        (_dripping([b"HTTP/1.1 200 OK\r\nX: ", *[b"a"] * 200]), HASTY, "no answer within 1.5 s"),
        (
            _dripping([b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", *[b" "] * 200]),
            HASTY,
            "no answer within 1.5 s",
        ),
        (_endless, LOCAL, "an answer that does not end"),
    ],
)
def test_an_answer_that_comes_in_drops_or_never_ends_takes_no_longer_than_the_deadline(
    answer: Callable[[socket.socket], None], settings: metamodel.ReferenceSettings, match: str
) -> None:
    with _answering_with(answer) as url:
        started = time.monotonic()
        with pytest.raises(ChildUnavailable, match=match):
            EndpointChild(url, settings).predict(feature_rows(1.0))
        assert time.monotonic() - started < 20  # and not the forty seconds of the drops


def test_the_deadline_begins_when_the_rows_are_given_and_not_when_their_turn_comes(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Endpoint]
) -> None:
    quick, others_end = start(), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        monkeypatch.setitem(endpoints._shared, "executor", executor)
        executor.submit(others_end.wait)
        awaited = EndpointChild(quick.url, HASTY).submit(lambda child: child.predict(feature_rows(1.0)))
        try:
            with pytest.raises(ChildUnavailable, match=r"no answer within 1\.5 s"):
                awaited.result()
        finally:
            others_end.set()
    assert quick.requests == 0  # nobody waits for it any more


def test_a_row_that_json_cannot_carry_fails_alone(start: Callable[..., Endpoint], tmp_path: Path) -> None:
    endpoint, rows = start(factor=2), panel(1).drop(columns="y")
    children = pd.DataFrame({"store": [0], "uri": [endpoint.url]})
    model = metamodel.load_model(write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL))
    rows.loc[2, "x"] = np.inf
    answers = model.predict(rows)
    assert answers["status"].tolist() == ["child"] * 2 + ["failed"] + ["child"] * 3


def test_a_busy_endpoint_is_asked_again_within_the_deadline(start: Callable[..., Endpoint]) -> None:
    statuses = [503, 429]
    endpoint = start(answer=lambda rows: (statuses.pop(), {}) if statuses else (200, {"predictions": [7.0]}))
    assert EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1)).tolist() == [7.0]
    assert endpoint.requests == 3


def test_a_redirect_is_not_followed(start: Callable[..., Endpoint]) -> None:
    target = start()
    endpoint = start(answer=lambda rows: (302, {}))
    endpoint.headers = {"Location": target.url}
    with pytest.raises(ChildUnavailable, match="status 302"):
        EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1))
    assert target.requests == 0


def test_credentials_in_a_uri_are_refused_and_not_repeated(start: Callable[..., Endpoint]) -> None:
    endpoint = start()
    odd = [endpoint.url.replace("//", "//ann:s3cret@"), f"{endpoint.url}?token=s3cret"]
    for url in odd:
        with pytest.raises(ChildUnavailable, match="the address holds credentials") as caught:
            EndpointChild(url, LOCAL)
        assert "s3cret" not in str(caught.value)
    assert endpoint.requests == 0


def test_an_endpoint_that_is_down_is_refused_when_the_model_is_made(tmp_path: Path) -> None:
    rows = panel(1).drop(columns="y")
    children = pd.DataFrame({"store": [0], "uri": [f"http://{HOST}:{free_port()}/invocations"]})
    with pytest.raises(InputError, match="The endpoint does not answer"):
        write_references(tmp_path / "b", children, rows, "store", "y", settings=LOCAL)
    assert not (tmp_path / "b").exists()


def test_a_breaker_lets_one_request_find_out_and_closes_again() -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    for _ in range(3):
        assert breaker.lets_through()
        breaker.failed()
    assert not breaker.lets_through()
    now[0] = 31.0
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.lets_through()
