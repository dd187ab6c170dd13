"""What a killed process left open is closed by the next command; what is open in a living one stays so."""

import os
import tempfile
from pathlib import Path

import forked_programs
import pytest
from mlflow import MlflowClient
from stores import new_store

from metamodel.tracking.left_open import KILLED, close_left_open, noted_open

ERROR_TAG = "metamodel.error"

# Opens a run, notes it, and dies without a word.
KILLED_IN_A_RUN = """
import os, signal, mlflow
from metamodel.tracking.left_open import noted_open
run = mlflow.MlflowClient().create_run("0")
print(run.info.run_id, flush=True)
with noted_open("run", run.info.run_id):
    os.kill(os.getpid(), signal.SIGKILL)
"""

# The same while it logs groups one by one: a model and a nested run are begun.
KILLED_IN_ITS_CHILDREN = """
import os, signal, mlflow
from metamodel.tracking.left_open import noted_open
client = mlflow.MlflowClient()
run = client.create_run("0")
print(run.info.run_id, flush=True)
with noted_open("run", run.info.run_id):
    ours = {"metamodel.group": "a"}
    client.create_logged_model("0", "m-a", source_run_id=run.info.run_id, tags=ours)
    client.create_run("0", tags={**ours, "mlflow.parentRunId": run.info.run_id})
    client.create_run("0", tags={"mlflow.parentRunId": run.info.run_id})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, for its processes too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_killed_process_s_run_is_failed_and_says_why(temporary: Path) -> None:
    client = MlflowClient()
    client.search_experiments()  # the store is there
    killed = forked_programs.run("program_text", KILLED_IN_A_RUN)
    run_id = killed.stdout.split()[0]
    assert client.get_run(run_id).info.status == "RUNNING"

    close_left_open(ERROR_TAG)

    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags[ERROR_TAG]) == ("FAILED", KILLED)
    assert not list(temporary.glob(".metamodel-open-*"))


@pytest.mark.usefixtures("temporary")
def test_a_living_process_s_run_stays_open() -> None:
    run_id = MlflowClient().create_run("0").info.run_id
    with noted_open("run", run_id):
        close_left_open(ERROR_TAG)
        assert MlflowClient().get_run(run_id).info.status == "RUNNING"


def test_a_note_of_another_server_stays_until_that_server_is_used(temporary: Path) -> None:
    other = new_store(temporary, "other.db")
    used = {**os.environ, "MLFLOW_TRACKING_URI": other}  # in processes of their own: this one may have set another
    client = MlflowClient(other)
    client.search_experiments()
    killed = forked_programs.run("program_text", KILLED_IN_A_RUN, env=used)
    run_id = killed.stdout.split()[0]

    close_left_open(ERROR_TAG)

    assert client.get_run(run_id).info.status == "RUNNING"
    closing = f"from metamodel.tracking.left_open import close_left_open; close_left_open({ERROR_TAG!r})"
    assert forked_programs.run("program_text", closing, env=used).returncode == 0
    assert client.get_run(run_id).info.status == "FAILED"


@pytest.mark.usefixtures("temporary")
def test_what_a_killed_process_had_begun_for_groups_is_ended_too_and_the_callers_nested_runs_are_not() -> None:
    client = MlflowClient()
    client.search_experiments()
    killed = forked_programs.run("program_text", KILLED_IN_ITS_CHILDREN)
    run_id = killed.stdout.split()[0]

    close_left_open(ERROR_TAG)

    (model,) = client.search_logged_models(["0"], f"source_run_id = '{run_id}'")
    assert model.status.value == "FAILED"
    nested = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert {("metamodel.group" in run.data.tags, run.info.status) for run in nested} == {
        (True, "KILLED"),
        (False, "RUNNING"),
    }
