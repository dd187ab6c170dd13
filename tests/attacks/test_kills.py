"""Twenty kills of `log_model` and of `train`, some more of groups' own models and runs: nothing is left behind."""

from pathlib import Path

import pandas as pd
import pytest
from killed_commands import kill_at_random, processes, run_whole, seconds
from mlflow.tracking import MlflowClient

import metamodel

KILLS = 20

# Of what is killed: long enough that a kill at any moment of it finds it at work.
LOG = "metamodel.log_model({bundle!r}, report=False)"
_FAST = "settings=metamodel.ReferenceSettings(requests_per_second=1000)"
LOG_MODELS = f"metamodel.log_model({{bundle!r}}, report=False, log_children='models', {_FAST})"
LOG_RUNS = f"metamodel.log_model({{bundle!r}}, report=False, log_children='runs', {_FAST})"
TRAIN = "metamodel.train({table!r}, 'shop', 'y', 'ridge', n_jobs=1)"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    rows = [(f"s{shop}", row, row * shop + row % 3) for shop in range(20) for row in range(12)]
    pd.DataFrame(rows, columns=["shop", "x", "y"]).to_csv(path, index=False)
    return path


@pytest.mark.timeout(600)  # forty processes on a busy machine
@pytest.mark.parametrize(
    ("what", "kills"),
    [(LOG, KILLS), (TRAIN, KILLS), (LOG_MODELS, KILLS // 5), (LOG_RUNS, KILLS // 5)],
    ids=["log_model", "train", "models", "runs"],
)
def test_what_was_killed_leaves_nothing_after_the_next_command(
    what: str, kills: int, table: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    bundle, store = tmp_path / "bundle", f"sqlite:///{tmp_path / 'runs.db'}"
    one_by_one = what in (LOG_MODELS, LOG_RUNS)
    trained = pd.read_csv(table).head(60 if one_by_one else None)
    metamodel.train(trained, "shop", "y", "ridge", output_dir=bundle, n_jobs=1)
    program = what.format(bundle=str(bundle), table=str(table))
    context = processes()
    seconds(context, program, store, folder)  # makes the store
    whole = seconds(context, program, store, folder)
    killed = sum(kill_at_random(context, program, store, folder, kills, whole, latest=0.9))
    assert killed >= kills / 2
    assert [path for path in folder.iterdir() if "metamodel-" in path.name]
    run_whole(program, store, folder)
    assert [path.name for path in folder.iterdir() if "metamodel-" in path.name] == []
    client = MlflowClient(store)
    runs = client.search_runs(["0"], max_results=1000)
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED", "KILLED"}
    models = client.search_logged_models(["0"], max_results=1000)
    assert {model.status.value for model in models} <= {"READY", "FAILED"}
    if what != TRAIN:
        assert "FAILED" in {run.info.status for run in runs}
        assert "Killed: the process" in str([run.data.tags.get("metamodel.error") for run in runs])
