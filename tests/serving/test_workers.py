"""`metamodel serve` with one worker and with several: limits, metrics, signals, and children that take long."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from edge_children import Slow
from forked_programs import run
from servers import Server, metamodel_server, wait_for_workers
from serving import COLUMNS, CSV, JSON, ROW, figure, post, records, refused

import metamodel

pytestmark = [pytest.mark.server, pytest.mark.tableless]


@pytest.fixture(scope="module")
def workers(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with metamodel_server(bundle, tmp_path_factory.mktemp("workers"), 2, max_rows=500, max_body_mb=0.1) as server:
        yield server


def test_eight_clients_get_right_answers_from_two_workers_and_the_metrics_are_their_sum(
    workers: Server, bundle: Path, table: pd.DataFrame
) -> None:
    assert len(workers.children) == 2
    rows = table.drop(columns=["sales", "colour"])
    expected = metamodel.load_model(bundle).predict(rows)["prediction"].tolist()
    names = [
        'metamodel_requests_total{code="200"}',
        'metamodel_rows_total{status="child"}',
        "metamodel_request_seconds_count",
    ]
    before = [figure(workers, name) for name in names]

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
    after = [figure(workers, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [120, 120, 120]
    assert figure(workers, "metamodel_cache_entries") > 0
    assert figure(workers, "metamodel_cache_hits_total") + figure(workers, "metamodel_cache_misses_total") >= 120


def test_too_many_rows_are_refused_whatever_the_format(workers: Server) -> None:
    rows = [[*ROW.values()][:4] for _ in range(501)]
    body = json.dumps({"dataframe_split": {"columns": COLUMNS[:4], "data": rows}})
    refused(post(workers, body), 413, "The request has 501 rows; this server takes 500.")
    lines = "\n".join([",".join(COLUMNS[:4]), *["FR,1,0.5,3"] * 501])
    refused(post(workers, lines, CSV), 413, "The request has 501 rows; this server takes 500.")


def test_too_large_bodies_are_refused_before_they_are_read(workers: Server) -> None:
    refused(post(workers, "x" * 200_000), 413, "The request's body is too large. This server takes 104,857 bytes.")
    parts = (b"x" * 50_000 for _ in range(4))
    refused(
        requests.post(f"{workers.url}/invocations", data=parts, timeout=60), 413, "The request's body is too large."
    )
    assert figure(workers, 'metamodel_requests_total{code="413"}') >= 2


def test_a_worker_that_is_killed_is_started_again_and_goes_on_counting(workers: Server) -> None:
    counted = figure(workers, 'metamodel_requests_total{code="200"}')
    victim = workers.children[0]
    os.kill(victim, signal.SIGKILL)
    wait_for_workers(workers, 2, gone=victim)
    assert len(workers.children) == 2
    assert post(workers, records({})).status_code == 200
    assert figure(workers, 'metamodel_requests_total{code="200"}') == counted + 1


@pytest.mark.parametrize("number", [1, 2])
def test_a_signal_under_load_fails_no_request_and_ends_in_order(bundle: Path, tmp_path: Path, number: int) -> None:
    body = records({"store": 1}).encode()
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


def test_a_slow_request_does_not_keep_the_server_from_saying_that_it_is_well(slow: Path, tmp_path: Path) -> None:
    with (
        metamodel_server(slow, tmp_path, timeout=1, max_waiting=2, threads=2, drain=0) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        waiting = [pool.submit(post, server, _slowly(600)) for _ in range(2)]
        deadline = time.monotonic() + 120
        while figure(server, "metamodel_requests_in_pool") < 2:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.02)
        late = post(server, _slowly(0))
        refused(late, 503, "The server has too much to do.")
        assert late.headers["Retry-After"] == "1"
        # Sooner than the first slow request is done.
        assert requests.get(f"{server.url}/ping", timeout=120).status_code == 200
        for answer in waiting:
            refused(answer.result(), 504, "The answer took longer than 1 s.")


def test_a_request_that_waits_behind_a_slow_one_is_told_so_in_time(slow: Path, tmp_path: Path) -> None:
    with (
        metamodel_server(slow, tmp_path, timeout=1, max_waiting=2, threads=1, drain=0) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(post, server, _slowly(600))
        deadline = time.monotonic() + 120
        while figure(server, "metamodel_requests_in_pool") < 1:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.02)
        for answer in (post(server, _slowly(0)), first.result()):
            refused(answer, 504, "The answer took longer than 1 s.")


def test_what_is_under_way_is_finished_after_the_signal(slow: Path, tmp_path: Path) -> None:
    with metamodel_server(slow, tmp_path, 2, drain=0) as server, ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(post, server, _slowly(2))
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and figure(server, "metamodel_requests_in_pool") < 1:
            time.sleep(0.02)
        os.kill(server.process.pid, signal.SIGTERM)
        assert waiting.result().json() == {"predictions": [{"prediction": 1.0, "status": "child"}]}
        assert server.process.wait(60) == 0


def test_a_child_that_never_ends_does_not_keep_the_only_worker(slow: Path, tmp_path: Path) -> None:
    with metamodel_server(slow, tmp_path, timeout=1, drain=0) as server:
        refused(post(server, _slowly(600)), 504, "The answer took longer than 1 s.")
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0


def test_a_worker_that_is_stopped_dead_does_not_keep_the_server_from_stopping(slow: Path, tmp_path: Path) -> None:
    with metamodel_server(slow, tmp_path, 2, timeout=2, drain=0.5) as server:
        os.kill(server.children[0], signal.SIGSTOP)
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0  # after half a second and two, were it not for a busy machine


def printed(program: str) -> str:
    done = run("metamodel", before=f"{program}\nraise SystemExit")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_only_worker_ends_in_time_whatever_its_event_loop_is_at() -> None:
    program = (
        "import signal, time\n"
        "from types import SimpleNamespace\n"
        "from metamodel.serving.workers import _Server\n"
        "server = _Server(SimpleNamespace(limits=SimpleNamespace(seconds=0.2)), 0.1, None)\n"
        "server.handle_exit(signal.SIGTERM, None)\n"
        "time.sleep(60)"
    )
    assert run("metamodel", before=program, timeout=50).returncode == -signal.SIGALRM


def test_a_young_worker_that_ends_again_and_again_does_not_end_those_that_serve() -> None:
    """Worker 1 always ends at once; worker 0 serves from the start, and goes on when the other has ended ten times."""
    program = (
        "import os, signal\n"
        "from metamodel.serving import workers\n"
        "workers._PAUSE_SECONDS = 0.0\n"
        "ends, told = os.pipe()\n"
        "watcher = os.getpid()\n"
        "def start(number, about_to_listen):\n"
        "    about_to_listen()\n"
        "    if number == 1:\n"
        "        os.write(told, b'.')\n"
        "        raise SystemExit\n"
        "    count = 0\n"
        "    while count < 10:\n"
        "        count += len(os.read(ends, 10))\n"
        "    os.kill(watcher, signal.SIGTERM)\n"
        "print(workers.run_several(start, 2, 10))"
    )
    assert printed(program) == "0\n"


def test_workers_that_end_before_they_listen_are_given_up_however_long_they_took() -> None:
    program = (
        "from metamodel.serving import workers\n"
        "workers._SOON_SECONDS = 0.0\n"
        "def start(number, about_to_listen): raise SystemExit\n"
        "print(workers.run_several(start, 2, 10))"
    )
    assert printed(program) == "1\n"
