"""What a killed process left open in the store: the next command of the same user and machine closes it.

A note lies in the temporary folder while a run, or a logged model, is open. Its owner holds a lock that the system
releases however the owner ends, so that a note that is free is one of a process that is surely dead.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from metamodel.common.progress import say
from metamodel.common.temp_dirs import OwnedDirectory, sweep
from metamodel.common.uris import redacted
from metamodel.tracking.children.group_facts import GROUP_TAG

__all__ = ["KILLED", "close_children", "close_left_open", "noted_open"]

_PREFIX = ".metamodel-open-"
_NOTE = "note.json"

# More than are logged side by side.
_MOST_AT_ONCE = 100

KILLED = "Killed: the process that logged here ended without a word."


@contextmanager
def noted_open(kind: Literal["run", "model"], identity: str) -> Iterator[None]:
    """Note that a run or a logged model is open while the block runs.

    Parameters
    ----------
    kind, identity
        What is open, and its id.
    """
    owned = OwnedDirectory(Path(tempfile.gettempdir()), _PREFIX)
    note = {"server": redacted(mlflow.get_tracking_uri()), "kind": kind, "id": identity}
    (owned.path / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    try:
        yield
    finally:
        owned.close()


def close_left_open(error_tag: str) -> None:
    """End as FAILED what killed processes of this user left open at this tracking server.

    Parameters
    ----------
    error_tag
        The tag of a run that says why it failed.
    """
    client, server = MlflowClient(), redacted(mlflow.get_tracking_uri())

    def closed(directory: Path) -> bool:
        try:
            note = json.loads((directory / _NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # killed before it had opened anything
            return True
        if note["server"] != server:
            return False
        try:
            _close(client, note["kind"], note["id"], error_tag)
        except MlflowException as error:
            return error.error_code == "RESOURCE_DOES_NOT_EXIST"
        return True

    sweep(Path(tempfile.gettempdir()), _PREFIX, closed)


def _close(client: MlflowClient, kind: str, identity: str, error_tag: str) -> None:
    if kind == "model":
        if client.get_logged_model(identity).status == LoggedModelStatus.PENDING:
            client.finalize_logged_model(identity, LoggedModelStatus.FAILED)
            say(f"Logged model {identity} of a killed process is FAILED now.")
        return
    run = client.get_run(identity)
    if run.info.status == RunStatus.to_string(RunStatus.RUNNING):
        client.set_tag(identity, error_tag, KILLED)
        client.set_terminated(identity, RunStatus.to_string(RunStatus.FAILED))
        say(f"Run {identity} of a killed process is FAILED now.")
    close_children(run)


def close_children(run: Run) -> None:
    """End what a run had begun for single groups when it was broken off: a later attempt in it takes them up again.

    Models become FAILED, and nested runs KILLED: one that is FAILED tells of a group that could not be fitted.
    """
    client, experiment = MlflowClient(), [run.info.experiment_id]
    latest_first = [{"field_name": "creation_timestamp", "ascending": False}]
    made = client.search_logged_models(
        experiment, f"source_run_id = '{run.info.run_id}'", max_results=_MOST_AT_ONCE, order_by=latest_first
    )
    for model in made:
        if GROUP_TAG in model.tags and model.status == LoggedModelStatus.PENDING:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
    nested = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.info.run_id}' AND attributes.status = 'RUNNING'"
    for child in client.search_runs(experiment, nested, max_results=_MOST_AT_ONCE):
        if GROUP_TAG in child.data.tags:
            client.set_terminated(child.info.run_id, RunStatus.to_string(RunStatus.KILLED))
