"""`metamodel serve --refresh` while its alias moves: no request fails, each answer is one version's, old files go."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from servers import Server, metamodel_server
from serving import figure
from sklearn.linear_model import LinearRegression

import metamodel

NAME = "refreshed"

GROUPS = 200

# Each version adds as much to every answer, so that an answer says which one made it.
STEP = 1000.0

RATE = 459

ROWS = 5


def version_of(answer: dict[str, float], group: int) -> int:
    """Say which version made an answer to x = 1."""
    return round((answer["prediction"] - group - 2) / STEP)


@pytest.fixture(scope="module")
def registered(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Four versions of a model, of which the first is the champion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        group = np.repeat(np.arange(GROUPS), 3)
        x = np.tile([0.0, 1.0, 3.0], GROUPS)
        for version in (1, 2, 3, 4):
            table = pd.DataFrame({"group": group, "x": x, "y": group + 2 * x + STEP * version})
            path = tmp_path_factory.mktemp("refreshed") / "bundle"
            options = {"holdout": 0, "n_jobs": 1, "output_dir": path, "prune": False, "stack": version % 2 == 0}
            result = metamodel.train(table, "group", "y", LinearRegression(), **options)
            metamodel.log_model(result, registered_model_name=NAME, report=False)
        metamodel.promote(NAME, 1)
        yield


@dataclass
class Load:
    """Sends requests at times that are fixed beforehand, on a few connections, whether others are answered or not."""

    url: str
    champion: str = ""  # whom answers name, where a challenger beside it has made them
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    seen: list[tuple[float, int]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    stopped: bool = False

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        queue: asyncio.Queue[float | None] = asyncio.Queue()
        senders = [asyncio.create_task(self._sender(queue)) for _ in range(8)]
        due = time.perf_counter()
        while not self.stopped:
            queue.put_nowait(due)
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        for _ in senders:
            queue.put_nowait(None)
        await asyncio.gather(*senders)

    async def _sender(self, queue: "asyncio.Queue[float | None]") -> None:
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while (due := await queue.get()) is not None:
            groups = random.sample(range(GROUPS), ROWS)
            rows = [{"group": group, "x": 1.0, "customer": group} for group in groups]
            body = json.dumps({"dataframe_records": rows}).encode()
            head = "POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            try:
                answered = await reader.readuntil(b"\r\n\r\n")
                lines = answered.decode().lower().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                answer = await reader.readexactly(int(headers["content-length"]))
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                continue
            self.latencies.append(time.perf_counter() - due)
            if " 200 " not in lines[0]:
                self.failures.append(f"{lines[0]} {answer.decode()[:200]}")
                continue
            predictions = json.loads(answer)["predictions"]
            versions = {version_of(one, group) for one, group in zip(predictions, groups, strict=True)}
            named = self.champion.split() or [f"{NAME}/{min(versions)}"]
            if len(versions) > 1 or headers["metamodel-version"] not in named:
                self.mixed.append(f"{versions} under {headers['metamodel-version']}")
            self.seen.append((time.perf_counter(), min(versions)))
        writer.close()

    def wait_for(self, version: int, seconds: float) -> float:
        """Wait until the last hundred answers are a version's; returns when its first one came."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if {seen for _, seen in self.seen[-100:]} == {version}:
                return next(at for at, seen in self.seen if seen == version)
            time.sleep(0.02)
        raise AssertionError(f"version {version} does not answer: {self.seen[-1:]}; failures {self.failures[:3]}")


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_while_the_alias_moves_three_times(
    registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    metamodel.promote(NAME, 1)
    uri = f"models:/{NAME}@champion"
    with metamodel_server(uri, tmp_path, workers, {"TMPDIR": str(scratch)}, refresh=0.5) as server:
        load = Load(server.url)
        thread = threading.Thread(target=load.run)
        thread.start()
        try:
            load.wait_for(1, 120)
            for version in (2, 4, 3):
                moved = time.perf_counter()
                metamodel.promote(NAME, version)
                first = load.wait_for(version, 120)
                assert first - moved < 60  # soon after the half second, were it not for a busy machine
                # Connections may all lead to one of them, and the other be later.
                wait_for_workers(server, str(version), workers)
        finally:
            load.stopped = True
            thread.join()
        assert load.failures == []
        assert load.mixed == []
        assert len(load.seen) > 500
        assert requests.get(f"{server.url}/version", timeout=60).headers["metamodel-version"] == f"{NAME}/3"
        assert figure(server, 'metamodel_serving_workers{version="3"}') == workers
        assert figure(server, "metamodel_version_swaps_total") == 3 * workers
        # What the workers counted of four versions adds up.
        assert figure(server, 'metamodel_rows_total{status="child"}') == ROWS * len(load.seen)
        # The first version's files belong to the process that watches; of the others each worker has the last one's.
        wait_for_models(scratch, 1 if workers == 1 else 1 + workers)


def test_no_request_fails_while_the_challengers_alias_moves_and_then_the_champions(
    registered: None, tmp_path: Path
) -> None:
    """Every customer is the challenger's, so that each answer says which version it is."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    metamodel.promote(NAME, 1)
    metamodel.promote(NAME, 2, alias="challenger")
    beside = {
        "challenger": f"models:/{NAME}@challenger",
        "mode": "ab",
        "fraction": 1,
        "entity": "customer",
        "patience": 60,
    }
    env = {"TMPDIR": str(scratch)}
    with metamodel_server(f"models:/{NAME}@champion", tmp_path, 1, env, refresh=0.5, **beside) as server:
        load = Load(server.url, champion=f"{NAME}/1 {NAME}/4")
        thread = threading.Thread(target=load.run)
        thread.start()
        try:
            load.wait_for(2, 120)
            metamodel.promote(NAME, 3, alias="challenger")
            load.wait_for(3, 120)
            metamodel.promote(NAME, 4)
            wait_for_workers(server, "4", 1)
            answered = len(load.seen)
            load.wait_for(3, 120)  # beside the new champion
        finally:
            load.stopped = True
            thread.join()
        assert load.failures == []
        assert load.mixed == []
        assert {seen for _, seen in load.seen[answered:]} == {3}
        assert f"{NAME}/3 is the challenger now in place of {NAME}/2." in server.log
        assert f"{NAME}/4 answers now in place of {NAME}/1." in server.log
        assert figure(server, 'metamodel_challenger_workers{version="3"}') == 1
        swaps = [figure(server, f"metamodel_{which}_swaps_total") for which in ("challenger", "version")]
        assert swaps == [1, 1]
        assert figure(server, 'metamodel_variant_rows_total{variant="challenger"}') == ROWS * len(load.seen)
        assert figure(server, 'metamodel_variant_rows_total{variant="challenger_failed"}') == 0
        wait_for_models(scratch, 2)  # of four versions that it has fetched, those two that serve


def wait_for_workers(server: Server, version: str, number: int) -> None:
    """Wait until so many workers answer by a version."""
    end = time.monotonic() + 120
    name = f'metamodel_serving_workers{{version="{version}"}}'
    while f"{name} {number:.1f}" not in metrics(server):
        assert time.monotonic() < end, server.log
        time.sleep(0.1)


def metrics(server: Server) -> str:
    return requests.get(f"{server.url}/metrics", timeout=60).text


def wait_for_models(scratch: Path, number: int) -> None:
    """Wait until so many fetched models are left."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if len(list(scratch.rglob("MLmodel"))) == number:
            return
        time.sleep(0.1)
    raise AssertionError(f"{sorted(scratch.rglob('MLmodel'))} are left")


def test_a_version_that_cannot_be_opened_leaves_the_one_before_answering(registered: None, tmp_path: Path) -> None:
    metamodel.promote(NAME, 1)
    broken = MlflowClient().create_model_version(NAME, "s3://models/nowhere").version
    with metamodel_server(f"models:/{NAME}@champion", tmp_path, refresh=0.2) as server:
        metamodel.promote(NAME, broken)
        end = time.monotonic() + 200
        while figure(server, "metamodel_refresh_failures_total") < 2:
            assert time.monotonic() < end, server.log
            time.sleep(0.1)
        body = {"dataframe_records": [{"group": 7, "x": 1.0}]}
        answer = requests.post(f"{server.url}/invocations", json=body, timeout=60)
        assert answer.headers["metamodel-version"] == f"{NAME}/1"
        assert version_of(answer.json()["predictions"][0], 7) == 1
        assert server.log.count("cannot be followed") == 1
        metamodel.rollback(NAME)
        metamodel.promote(NAME, 2)
        while requests.get(f"{server.url}/version", timeout=60).headers["metamodel-version"] != f"{NAME}/2":
            assert time.monotonic() < end, server.log
            time.sleep(0.1)
