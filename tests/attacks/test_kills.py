"""Twenty kills of `log_model`, and of `train`: the next command leaves nothing behind of them."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from killed_commands import begin, processes, seconds
from mlflow.tracking import MlflowClient

import metamodel

KILLS = 20

# Of what is killed: long enough that a kill at any moment of it finds it at work.
LOG = "metamodel.log_model({bundle!r}, report=False)"
TRAIN = "metamodel.train({table!r}, 'shop', 'y', 'ridge', n_jobs=1)"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    rows = [(f"s{shop}", row, row * shop + row % 3) for shop in range(20) for row in range(12)]
    pd.DataFrame(rows, columns=["shop", "x", "y"]).to_csv(path, index=False)
    return path


@pytest.mark.timeout(600)  # forty processes on a busy machine
@pytest.mark.parametrize("what", [LOG, TRAIN], ids=["log_model", "train"])
def test_what_was_killed_leaves_nothing_after_the_next_command(what: str, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    bundle, store = tmp_path / "bundle", f"sqlite:///{tmp_path / 'runs.db'}"
    metamodel.train(table, "shop", "y", "ridge", output_dir=bundle, n_jobs=1)
    program = what.format(bundle=str(bundle), table=str(table))
    context, chance = processes(), random.Random(0)
    seconds(context, program, store, folder)  # makes the store
    whole = seconds(context, program, store, folder)
    killed = 0
    for _ in range(KILLS):
        process = begin(context, program, store, folder)
        process.join(chance.uniform(0.1, 0.9) * whole)
        process.kill()
        process.join()
        killed += process.exitcode != 0
    assert killed >= KILLS / 2
    assert [path for path in folder.iterdir() if "metamodel-" in path.name]
    after = f"import metamodel; {program}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", after], env=environment, check=True, timeout=120)
    assert [path.name for path in folder.iterdir() if "metamodel-" in path.name] == []
    client = MlflowClient(store)
    runs = client.search_runs(["0"], max_results=1000)
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
    models = client.search_logged_models(["0"], max_results=1000)
    assert {model.status.value for model in models} <= {"READY", "FAILED"}
    if what == LOG:
        assert "FAILED" in {run.info.status for run in runs}
        assert "Killed: the process" in str([run.data.tags.get("metamodel.error") for run in runs])
