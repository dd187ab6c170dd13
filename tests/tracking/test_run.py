"""Whose run it is, and how it ends when something fails."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from edge_children import Hopeless
from forked_programs import Program, start
from mlflow import MlflowClient
from servers import Recorder, Server
from tiny_trainings import registered_names, runs_of, tiny, train_tiny

import metamodel
from metamodel.exceptions import LoggingFailed
from metamodel.tracking.run import training_run

pytestmark = [pytest.mark.server, pytest.mark.tableless, pytest.mark.usefixtures("tracked")]


def test_an_active_run_is_used_and_left_open(client: MlflowClient) -> None:
    result = train_tiny(2)
    with mlflow.start_run() as run:
        info = metamodel.log_model(result, report=False)
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
    assert info.run_id == run.info.run_id
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_the_run_that_mlflow_run_has_made_is_used(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = client.create_experiment("made by mlflow run")
    made = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    with training_run("another experiment"):
        info = metamodel.log_model(train_tiny(2), report=False)
    assert info.run_id == made
    assert client.get_run(made).info.status == "FINISHED"
    assert mlflow.get_experiment_by_name("another experiment") is None


def test_logging_twice_into_one_run_gives_two_models_and_one_ledger() -> None:
    result = train_tiny(2)
    with training_run("twice"):
        infos = [metamodel.log_model(result, name=name, report=False) for name in ("one", "other")]
    (run,) = runs_of("twice")
    assert {info.run_id for info in infos} == {run.info.run_id}
    mlflow.set_experiment("twice")
    assert len(mlflow.load_table("ledger.json", run_ids=[run.info.run_id])) == len(result.ledger)


def test_another_training_is_refused_by_a_run_before_anything_is_logged(client: MlflowClient) -> None:
    first, second = train_tiny(2), train_tiny(3)
    with mlflow.start_run() as run:
        metamodel.log_model(first, report=False)
        before = client.get_run(run.info.run_id).to_dictionary()
        with pytest.raises(metamodel.InputError, match="holds another training already"):
            metamodel.log_model(second, report=False)
    assert client.get_run(run.info.run_id).data.to_dictionary() == before["data"]


def test_a_finished_run_says_where_it_is_and_asks_the_server_nothing(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_run() as run:
        recorder.take()
    place = f"{recorder.url}/#/experiments/{run.info.experiment_id}"
    assert f"View run at: {place}/runs/{run.info.run_id}\n" in capsys.readouterr().out
    assert recorder.take() == [("POST", "/api/2.0/mlflow/runs/update")]


def test_a_finished_run_says_nothing_where_that_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with training_run():
        pass
    assert "View run" not in capsys.readouterr().out
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


def _fail_inside(experiment: str) -> None:
    with training_run(experiment):
        raise RuntimeError("the disk is full")


def test_an_exception_ends_the_run_failed_with_its_reason() -> None:
    with pytest.raises(RuntimeError, match="the disk is full"):
        _fail_inside("broken")
    (run,) = runs_of("broken")
    assert run.info.status == "FAILED"
    assert run.data.tags["metamodel.error"] == "RuntimeError: the disk is full"


def _train_hopeless(experiment: str) -> None:
    with training_run(experiment):
        metamodel.log_model(
            metamodel.train(tiny(3), "group", "y", Hopeless(), n_jobs=1),
            registered_model_name="hopeless",
            report=False,
        )


def test_when_every_group_fails_the_run_has_failed_and_nothing_is_registered(client: MlflowClient) -> None:
    with pytest.raises(metamodel.AllGroupsFailed, match="no group pleases me"):
        _train_hopeless("hopeless")
    (run,) = runs_of("hopeless")
    assert run.info.status == "FAILED"
    assert "None of 3 groups could be fitted" in run.data.tags["metamodel.error"]
    assert "hopeless" not in registered_names(client)


def test_when_the_model_cannot_be_uploaded_nothing_is_registered(client: MlflowClient, tracking: Server) -> None:
    result = train_tiny(2)
    experiment = client.create_experiment("full")
    root = tracking.directory / "artifacts" / experiment
    root.mkdir(parents=True)
    (root / "models").write_text("a file where the server wants to make a folder")
    impatient = metamodel.ReferenceSettings(patience_seconds=1)

    def log() -> None:
        with training_run("full"):
            metamodel.log_model(
                result, registered_model_name="lost", alias="champion", report=False, settings=impatient
            )

    with pytest.raises(LoggingFailed, match=r"could not be logged at http://.*500 Server Error.*: metamodel log "):
        log()
    (run,) = runs_of("full")
    assert run.info.status == "FAILED"
    assert run.data.tags["metamodel.error"]
    assert "lost" not in registered_names(client)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_training_that_is_terminated_ends_its_run_failed_and_leaves_no_process(
    client: MlflowClient, tmp_path: Path, n_jobs: int
) -> None:
    started, temporary = tmp_path / "started", tmp_path / "temporary"
    started.mkdir()
    temporary.mkdir()
    tiny(4).to_csv(tmp_path / "table.csv", index=False)
    experiment = f"terminated {n_jobs}"
    options = {
        "data": "table.csv",
        "group-by": "group",
        "target": "y",
        "estimator": "edge_children.Endless",
        "estimator-params": f'{{"folder": "{started}"}}',
        "n-jobs": str(n_jobs),
        "register": "terminated",
        "experiment": experiment,
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    output, env = tmp_path / "output", {**os.environ, "TMPDIR": str(temporary)}
    with output.open("wb") as file:
        process = start("metamodel", "train", *arguments, cwd=tmp_path, env=env, stdout=file, stderr=file)
    try:
        _wait(lambda: bool(list(started.glob("[0-9]*"))) or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        (run,) = runs_of(experiment)
        assert run.info.status == "RUNNING"
        process.terminate()
        assert process.wait(120) == 128 + signal.SIGTERM, output.read_text()
        assert "Traceback" not in output.read_text()
        workers = [int(path.name) for path in started.glob("[0-9]*")]
        _wait(lambda: not any(map(_is_running, workers)))
    finally:
        _kill_group(process)
    (run,) = runs_of(experiment)
    assert run.info.status == "FAILED"
    assert run.data.tags["metamodel.error"] == "Terminated: 143"
    assert "terminated" not in registered_names(client)
    assert list(temporary.iterdir()) == []


def _wait(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"Not true within {seconds} s"
        time.sleep(0.05)


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _kill_group(process: Program) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
