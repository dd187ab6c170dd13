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
from mlflow.entities import LoggedModelStatus, RunStatus
from mlflow.exceptions import MlflowException

from metamodel.common.progress import say
from metamodel.common.temp_dirs import OwnedDirectory, sweep
from metamodel.common.uris import redacted

__all__ = ["KILLED", "close_left_open", "noted_open"]

_PREFIX = ".metamodel-open-"
_NOTE = "note.json"

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
    elif client.get_run(identity).info.status == RunStatus.to_string(RunStatus.RUNNING):
        client.set_tag(identity, error_tag, KILLED)
        client.set_terminated(identity, RunStatus.to_string(RunStatus.FAILED))
        say(f"Run {identity} of a killed process is FAILED now.")
