"""The directory of a bundle that is served is replaced, cut or emptied while two processes of two threads are asked."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from servers import Server, metamodel_server
from serving import JSON, sales

import metamodel

pytestmark = [pytest.mark.attack, pytest.mark.server]

# A request of every group with more bytes than are answered on the event loop: threads that open files of their own.
ROWS = [
    {"country": country, "store": store, "price": 0.5, "padding": "x" * 400}
    for country in ("FR", "DE", "NA")
    for store in (1, 2)
    for _ in range(3)
]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Train two versions of the same files, whose answers differ in every row."""
    table = sales().drop(columns=["colour", "count"])
    paths = [tmp_path_factory.mktemp("versions") / name for name in ("first", "second")]
    for path, shift in zip(paths, (0.0, 1000.0), strict=True):
        metamodel.train(
            table.assign(sales=table["sales"] + shift),
            ["country", "store"],
            "sales",
            estimator="ridge",
            holdout=0,
            stack=False,
            n_jobs=1,
            output_dir=path,
        )
    return paths


def _replace(served: Path, other: Path) -> None:
    away = served.with_name("away")
    served.rename(away)
    shutil.copytree(other, served)


def _train_over(served: Path, other: Path) -> None:
    for file in (file for file in other.rglob("*") if file.is_file()):
        (served / file.relative_to(other)).write_bytes(file.read_bytes())


def _cut(served: Path, other: Path) -> None:
    del other
    for file in (file for file in served.rglob("*") if file.is_file()):
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)


def _empty(served: Path, other: Path) -> None:
    del other
    shutil.rmtree(served)
    served.mkdir()


@pytest.mark.parametrize("change", [_replace, _train_over, _cut, _empty], ids=["replaced", "over", "cut", "emptied"])
def test_answers_are_of_the_version_that_was_opened_or_failed_and_no_connection_is_dropped(
    versions: list[Path], tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    first, second = versions
    served = Path(shutil.copytree(first, tmp_path / "bundle"))
    body = json.dumps({"dataframe_records": ROWS})
    right = [_answered(path, ROWS) for path in versions]
    outcomes: Counter[str] = Counter()
    before, changed, after = threading.Event(), threading.Event(), threading.Barrier(8)

    def ask(server: Server) -> None:
        asked = 0
        while asked < 20:
            # A connection each time: both workers are asked, and whoever loses one would show.
            answer = requests.post(f"{server.url}/invocations", body, headers={"Content-Type": JSON}, timeout=60)
            assert answer.status_code == 200, answer.text
            for row, expected in zip(answer.json()["predictions"], right[0], strict=True):
                is_right = row["status"] == "child" and row["prediction"] == pytest.approx(expected)
                outcomes["opened" if is_right else row["status"] if row["prediction"] is None else "mixed"] += 1
            before.set()
            asked += changed.is_set()
        after.wait(200)

    # Nothing is kept in memory: each row is read from the files.
    with (
        metamodel_server(served, tmp_path, 2, threads=2, env={"METAMODEL_CACHE_MB": "0"}) as server,
        ThreadPoolExecutor(8) as clients,
    ):
        asking = [clients.submit(ask, server) for _ in range(8)]
        assert before.wait(120)
        change(served, second)
        changed.set()
        for client in asking:
            client.result(250)
        assert requests.get(f"{server.url}/ping", timeout=60).status_code == 200
    assert right[0] != right[1]
    assert outcomes["opened"] > 0
    assert outcomes.keys() <= {"opened", "failed"}


def _answered(path: Path, rows: list[dict[str, object]]) -> list[float]:
    import pandas as pd

    return metamodel.load_model(path).predict(pd.DataFrame(rows))["prediction"].tolist()
