"""A training that cannot be logged: one line, the run FAILED, the bundle kept, and logged again by what is said."""

import contextlib
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import forked_programs
import mlflow
import pytest
import servers
from click.testing import CliRunner
from full_disks import no_file_beyond
from mlflow import MlflowClient
from tiny_trainings import no_active_experiment, runs_of, tiny, train_tiny

import metamodel
from metamodel.cli import main
from metamodel.exceptions import LoggingFailed
from metamodel.tracking.kept_bundle import bundle_kept
from metamodel.tracking.run import training_run

pytestmark = [pytest.mark.server, pytest.mark.tableless]

# Smaller than a bundle's shard, and larger than what the run's tables take.
SMALL = 10_000


def logged_in(experiment: str, result: metamodel.TrainingResult) -> None:
    with training_run(experiment), no_file_beyond(SMALL):
        metamodel.log_model(result, report=False)


@pytest.mark.usefixtures("tracked")
def test_a_full_disk_while_logging_is_one_line_and_the_bundle_is_logged_again(client: MlflowClient) -> None:
    result = train_tiny(3)
    with pytest.raises(LoggingFailed, match=r"^[^\n]* cannot be written: [^\n]*File too large\. Free[^\n]*$") as raised:
        logged_in("full disk", result)

    (run,) = runs_of("full disk")
    assert run.info.status == "FAILED"
    assert "File too large" in run.data.tags["metamodel.error"]
    command = shlex.split(str(raised.value).partition("Log its bundle with: metamodel ")[2])
    again = CliRunner().invoke(main, [*command, "--register", "again", "--alias", "champion"], catch_exceptions=False)
    assert again.exit_code == 0, again.stderr
    first = metamodel.load_model(result.bundle_path).predict(tiny(3))
    assert metamodel.load_model("models:/again@champion").predict(tiny(3)).equals(first)
    version = client.get_model_version_by_alias("again", "champion")
    assert version.tags["metamodel.groups_fitted"] == "3"
    assert "rows" in client.get_run(version.run_id).data.metrics


@pytest.mark.usefixtures("tracked")
def test_a_bundle_is_logged_with_the_tables_and_the_report_of_its_training(client: MlflowClient) -> None:
    result = train_tiny(2)
    of_training, of_bundle = (metamodel.log_model(given).run_id for given in (result, result.bundle_path))
    names = [{entry.path for entry in client.list_artifacts(run)} for run in (of_training, of_bundle)]
    assert names[0] - names[1] == {"config.yaml"}
    assert {"report.html", "ledger.parquet", "checks.json"} <= names[1]
    params = [client.get_run(run).data.params for run in (of_training, of_bundle)]
    assert params[0] == params[1]


PROGRAM = """
import sys
import metamodel
from tiny_trainings import train_tiny
from full_disks import no_file_beyond
result = train_tiny(3)
print(result.bundle_path)
with no_file_beyond(int(sys.argv[1])):
    metamodel.log_model(result, report=False)
"""


@pytest.mark.usefixtures("tracked")
@pytest.mark.parametrize(("size", "stays"), [(SMALL, True), (10**9, False)])
def test_a_bundle_without_an_output_directory_outlives_the_process_where_it_could_not_be_logged(
    size: int, stays: bool, tmp_path: Path
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = forked_programs.run("-c", PROGRAM, str(size), env=environment)
    bundle = Path(done.stdout.splitlines()[0])
    assert (done.returncode != 0) == stays, done.stderr
    assert (bundle / "manifest.json").exists() == stays


@contextlib.contextmanager
def stopped(server: servers.Server) -> Iterator[None]:
    """Stop every process of a server: it takes connections, and answers nobody."""
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_server_that_stops_while_a_training_is_logged_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = train_tiny(2)
    impatient = metamodel.ReferenceSettings(patience_seconds=2)
    with servers.tracking_server(tmp_path) as server, no_active_experiment():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        began = 0.0

        def log() -> None:
            nonlocal began
            with contextlib.ExitStack() as stack:

                def stop(*_: object) -> None:
                    stack.enter_context(stopped(server))

                monkeypatch.setattr("metamodel.tracking.log_training.log_dataset", stop)
                began = time.monotonic()
                metamodel.log_model(result, report=False, settings=impatient)

        line = r"^The tracking server http.* has stopped answering [^\n]*: metamodel log"
        with pytest.raises(LoggingFailed, match=line):
            log()
        assert time.monotonic() - began < 240  # MLflow's own retries take a quarter of an hour
        assert mlflow.active_run() is None

        monkeypatch.undo()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        assert metamodel.log_model(result.bundle_path, report=False).run_id


def test_what_is_no_fault_of_a_store_is_let_through_and_the_bundle_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError, match="division"), bundle_kept(tmp_path / "a bundle"):
        _ = 1 / 0
    assert re.search(r"Log its bundle with: metamodel log '.*/a bundle'", capsys.readouterr().err)
