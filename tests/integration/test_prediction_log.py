"""Both real servers with a log: the same answers, every row once, and no request hurt by whatever becomes of it."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from logged_rows import rows_in
from servers import Server, metamodel_server, scoring_server
from serving import CSV, post, sales

import metamodel

pytestmark = pytest.mark.server

COLUMNS = ["country", "store", "price", "count"]


@pytest.fixture(scope="module")
def registered(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registered version of stacked children that take arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        mlflow.set_tracking_uri(tracking.url)
        path = tmp_path_factory.mktemp("logged") / "bundle"
        table = sales()[[*COLUMNS, "sales"]]
        options = {"n_jobs": 1, "output_dir": path, "prune": False, "stack": True}
        result = metamodel.train(table, ["country", "store"], "sales", "ridge", **options)
        metamodel.log_model(result, registered_model_name="logged", report=False)
        mlflow.set_tracking_uri(None)
    return "models:/logged/1"


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


def _logged(folder: Path, rows: int, seconds: float = 30) -> pd.DataFrame:
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
        server.process.wait(20)
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
