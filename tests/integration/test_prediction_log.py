"""Both real servers with a log: the same answers, every row once, and no request hurt by whatever becomes of it."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from logged_rows import rows_in
from servers import Server, metamodel_server, scoring_server
from serving import CSV, figure, post, sales

import metamodel

pytestmark = pytest.mark.server

COLUMNS = ["country", "store", "price", "count"]


@pytest.fixture(scope="module")
def registered(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registered version of stacked children that take arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        path = tmp_path_factory.mktemp("logged") / "bundle"
        table = sales()[[*COLUMNS, "sales"]]
        options = {"n_jobs": 1, "output_dir": path, "prune": False, "stack": True}
        result = metamodel.train(table, ["country", "store"], "sales", "ridge", **options)
        metamodel.log_model(result, registered_model_name="logged", report=False)
    return "models:/logged/1"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stacked children, in a bundle's own directory."""
    path = tmp_path_factory.mktemp("disks") / "bundle"
    options = {"holdout": 0, "n_jobs": 1, "output_dir": path, "prune": False, "stack": True}
    metamodel.train(sales()[[*COLUMNS, "sales"]], ["country", "store"], "sales", "ridge", **options)
    return path


def _requests(n: int = 40) -> list[tuple[str, str]]:
    """Bodies of every way to an answer, all with ids and customers."""
    rows = [
        {"country": "FR", "store": 1 + i % 3, "price": i / 7, "count": 3, "row_id": f"r{i}", "customer": i % 5}
        for i in range(n)
    ]
    bodies = [(json.dumps({"dataframe_records": [row]}), "application/json") for row in rows[:-3]]
    bodies.append((json.dumps({"instances": rows[-3:-2]}), "application/json"))
    odd = {"dataframe_records": [rows[-2] | {"price": "dear", "store": 1}], "params": {"detail": True}}
    bodies.append((json.dumps(odd), "application/json"))
    bodies.append((pd.DataFrame(rows[-1:]).to_csv(index=False), CSV))
    return bodies


def _logged(folder: Path, rows: int, seconds: float = 120) -> pd.DataFrame:
    """Wait until so many rows are in files."""
    end = time.monotonic() + seconds
    while len(table := rows_in(folder)) < rows and time.monotonic() < end:
        time.sleep(0.05)
    return table


def _answers(server: Server) -> list[str]:
    sent = [post(server, body, kind) for body, kind in _requests()]
    assert {answer.status_code for answer in sent} == {200}
    return [answer.text for answer in sent]


@pytest.mark.parametrize("serve", [metamodel_server, scoring_server])
def test_answers_are_the_same_bytes_with_a_log_and_sigterm_writes_every_row(
    registered: str, tracking: Server, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    env = {"MLFLOW_TRACKING_URI": tracking.url, "METAMODEL_LOG_SECRET": "hush", "METAMODEL_LOG_ENTITY": "customer"}
    log = tmp_path / "log"
    (tmp_path / "off").mkdir()
    with serve(registered, tmp_path / "off", 1, env) as server:
        expected = _answers(server)
    variables = {**env, "METAMODEL_LOG": str(log), "METAMODEL_LOG_FEATURES": "all", "METAMODEL_LOG_DROP": "count"}
    with serve(registered, tmp_path, 1, variables) as server:
        assert _answers(server) == expected
        os.killpg(server.process.pid, signal.SIGTERM)
        server.process.wait(120)
        table = _logged(log, 40)  # MLflow's command may end before the server that it has started
    assert sorted(table["row_id"]) == sorted(f"r{i}" for i in range(40))
    assert set(zip(table["model"], table["version"], strict=True)) == {("logged", "1")}
    assert set(table["status"]) == {"child", "unknown_group", "failed"}
    assert table["entity_hash"].nunique() == 5
    assert "hush" not in table.to_csv()
    assert [name for name in table if name.startswith("feature_")] == ["feature_price"]
    by_id = table.set_index("row_id")
    answer = json.loads(expected[0])["predictions"][0]
    logged = by_id.loc["r0", ["prediction", "lower", "upper"]]
    assert {name: value for name, value in logged.items() if pd.notna(value)} == {
        name: answer[name] for name in ("prediction", "lower", "upper") if name in answer
    }
    assert by_id.loc["r0", "child_version"] == by_id.loc["r3", "child_version"]


# Disks that fail


@contextlib.contextmanager
def _requests_all_the_while(server: Server) -> Iterator[list[int]]:
    """Send rows one after the other until the block ends; yields the statuses of the answers."""
    statuses: list[int] = []
    stopped = threading.Event()

    def send() -> None:
        number = 0
        with requests.Session() as session:
            while not stopped.is_set():
                row = {"country": "FR", "store": 1, "price": number / 7, "count": 3, "row_id": number}
                body = json.dumps({"dataframe_records": [row]})
                headers = {"Content-Type": "application/json"}
                try:
                    answer = session.post(f"{server.url}/invocations", data=body, headers=headers, timeout=120)
                    statuses.append(answer.status_code)
                except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # its worker was killed
                    statuses.append(0)
                number += 1

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        for thread in threads:
            thread.join(150)


def _wait_for(condition: Callable[[], bool], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def _workers_megabytes(server: Server) -> float:
    """Memory that the server's processes take for themselves."""
    group, total = os.getpgid(server.process.pid), 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(folder.name)) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
    return total / 1024


# Makes a process's files reach the disk slowly, or never, and its log hasty.
_SLOW = """
import os, time
from metamodel.prediction_log import log_writer
log_writer.FILE_SECONDS = {every}
log_writer.PredictionLog.__init__.__defaults__ = ({every},)
log_writer._QUEUE_BYTES = {queue}
synced = os.fsync
def fsync(file):
    time.sleep({seconds})
    synced(file)
os.fsync = fsync
"""


def _hasty(*, seconds: float = 0, every: float = 0.2, queue: int = 64 * 2**20) -> str:
    """Write what a server runs first whose disk takes so long for a file."""
    return _SLOW.format(seconds=seconds, every=every, queue=queue)


def test_a_full_disk_fails_no_request_and_is_counted_and_logging_goes_on_when_there_is_room(
    bundle: Path, small_disk: Path, tmp_path: Path
) -> None:
    with metamodel_server(bundle, tmp_path, before=_hasty(), log=small_disk, log_features="all") as server:
        with _requests_all_the_while(server) as statuses:
            _wait_for(lambda: figure(server, "metamodel_log_rows_total") > 0)
            filler = small_disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 512)
            _wait_for(lambda: figure(server, "metamodel_log_dropped_total") > 100)
            before = figure(server, "metamodel_log_rows_total")
            filler.unlink()
            _wait_for(lambda: figure(server, "metamodel_log_rows_total") > before + 100)
        assert set(statuses) == {200}
        assert [path.name for path in small_disk.glob("new/.*")] == []
        assert "No space left on device" in server.log
        assert server.log.count("not logged") < 5
    sent = len(statuses)
    table = rows_in(small_disk)
    assert 0 < len(table) < sent


def test_a_disk_that_takes_a_second_a_file_fails_no_request_and_memory_stays_bounded(
    bundle: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    slow = _hasty(seconds=1, every=0.01, queue=200_000)
    with metamodel_server(bundle, tmp_path, before=slow, log=log) as server:
        with _requests_all_the_while(server) as statuses:
            _wait_for(lambda: figure(server, "metamodel_log_dropped_total") > 200)
            memory = _workers_megabytes(server)
            dropped = figure(server, "metamodel_log_dropped_total")
            _wait_for(lambda: figure(server, "metamodel_log_dropped_total") > dropped + 1000)
            grown = _workers_megabytes(server) - memory
        assert set(statuses) == {200}
        assert grown < 10
    assert len(rows_in(log)) > 0


def test_a_folder_that_is_gone_fails_no_request_and_is_not_made_anew(bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with metamodel_server(bundle, tmp_path, before=_hasty(), log=log) as server:
        with _requests_all_the_while(server) as statuses:
            _wait_for(lambda: figure(server, "metamodel_log_rows_total") > 0)
            log.rename(tmp_path / "elsewhere")
            _wait_for(lambda: figure(server, "metamodel_log_dropped_total") > 100)
            assert not log.exists()
            (tmp_path / "elsewhere").rename(log)
            before = figure(server, "metamodel_log_rows_total")
            _wait_for(lambda: figure(server, "metamodel_log_rows_total") > before)
        assert set(statuses) == {200}


def test_a_worker_that_is_killed_leaves_whole_files_alone_and_the_others_go_on(bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with metamodel_server(bundle, tmp_path, 2, before=_hasty(every=0.05), log=log) as server:
        with _requests_all_the_while(server) as statuses:
            for _ in range(3):
                before = figure(server, "metamodel_log_rows_total")
                _wait_for(lambda before=before: figure(server, "metamodel_log_rows_total") > before + 50)
                os.kill(server.children[0], signal.SIGKILL)
                rows = sum(len(part) for part in metamodel.read_log(log))  # no half file is read
                assert rows > 0
        good = statuses.count(200)
        os.killpg(server.process.pid, signal.SIGTERM)
        server.process.wait(120)
    assert set(statuses) <= {0, 200}
    assert statuses.count(0) <= 6  # connections of the killed workers
    rows = sum(len(part) for part in metamodel.read_log(log))
    assert good * 0.5 < rows <= len(statuses)
    assert metamodel.compact_log(log).rows == rows


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small file system is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True, timeout=120)
