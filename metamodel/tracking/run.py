"""The run to log into: opened, ended whatever happens, claimed by ONE training, gone on with after a break."""

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from mlflow.utils.workspace_context import get_request_workspace

from metamodel.common.messages import error_text, short, short_line
from metamodel.common.progress import say
from metamodel.common.uris import redacted
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError
from metamodel.fitting.group import Terminated
from metamodel.flavor.remote import briefly, check_tracking_server
from metamodel.tracking.children.earlier_runs import TRAINING_TAG
from metamodel.tracking.left_open import close_children, close_left_open, noted_open

__all__ = ["LEDGER_TABLE", "check_tags", "claim", "cut", "resumable_run", "training_run"]

# How MLflow's page finds the table.
LEDGER_TABLE = {"path": "ledger.json", "type": "table"}

_LONGEST = 500

_ERROR_TAG = "metamodel.error"

_DIGEST_TAG = "metamodel.digest"

_UNTOLD = mlflow.environment_variables.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT


@contextmanager
def training_run(
    experiment: str | None = None, run_name: str | None = None, run_id: str | None = None
) -> Iterator[mlflow.ActiveRun]:
    """Open the run to log into, and end it FAILED when anything goes wrong, SIGTERM included.

    Parameters
    ----------
    experiment
        Experiment of a new run. Not used where there is a run already (an active one, or the one that `mlflow run`
        made).
    run_name
        Name of a new run.
    run_id
        Instead of a new run: the one to go on in.

    Yields
    ------
    mlflow.ActiveRun
        The active run where there is one, else the run of ``MLFLOW_RUN_ID``, else that of `run_id`, else a new one.
    """
    check_tracking_server(patient=True)
    close_left_open(_ERROR_TAG)
    active = mlflow.active_run()
    if active is not None:
        yield active
        return
    given = mlflow.environment_variables.MLFLOW_RUN_ID.get()
    if experiment and not given and not run_id:
        mlflow.set_experiment(experiment)
    with _terminable():
        run = mlflow.start_run(None if given else run_id, run_name=run_name)
        with noted_open("run", run.info.run_id):
            try:
                yield run
            except BaseException as error:
                _end_failed(run, error)
                raise
            if _ERROR_TAG in run.data.tags:  # of an attempt before this one
                mlflow.delete_tag(_ERROR_TAG)
            _end_finished(run)


def _end_finished(run: mlflow.ActiveRun) -> None:
    """End the run, and say where it is as MLflow does, which would ask the server first where that is."""
    server = mlflow.get_tracking_uri()
    plain = server.startswith(("http://", "https://")) and not get_request_workspace()
    if not plain or _UNTOLD.is_set():
        mlflow.end_run()  # Databricks and workspaces have addresses of their own
        return
    _UNTOLD.set(True)
    try:
        mlflow.end_run()
    finally:
        _UNTOLD.unset()
    experiment = f"{redacted(server.rstrip('/'))}/#/experiments/{run.info.experiment_id}"
    sys.stdout.write(f"🏃 View run at: {experiment}/runs/{run.info.run_id}\n🧪 View experiment at: {experiment}\n")


def _end_failed(run: mlflow.ActiveRun, error: BaseException) -> None:
    """End the run as FAILED with its reason; where the store itself is at fault, its run stays as it is."""
    reason = cut(redacted(f"{type(error).__name__}: {error}"))
    try:
        with briefly():
            try:
                mlflow.set_tag(_ERROR_TAG, reason)
            finally:  # or MLflow would end it when the process ends, and try for minutes
                mlflow.end_run("FAILED")
            close_children(run)
    except Exception as of_store:  # noqa: BLE001 - whatever it is, the first error is the one to be told
        say(f"The run could not be ended as FAILED ({redacted(short_line(error_text(of_store), 200))}).")


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a run that is told to stop does not stay RUNNING for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def resumable_run(experiment: str | None, bundle: str | Path | None) -> Iterator[mlflow.ActiveRun]:
    """Open the run to log into, and go on in the one of an earlier attempt that did not end well.

    It is noted beside the bundle, for a new process knows nothing of it.

    Parameters
    ----------
    experiment
        Experiment of a new run.
    bundle
        Where the bundle will stand; without it every run is a new one.

    Yields
    ------
    mlflow.ActiveRun
        As `training_run`. A wrong input ends the attempt for good: what comes then is another training.
    """
    if not bundle:
        with training_run(experiment) as run:
            yield run
        return
    note = Path(bundle).with_name(f".{Path(bundle).name}.run.json")
    with training_run(experiment, run_id=_unfinished(note)) as run:
        note.parent.mkdir(parents=True, exist_ok=True)
        noted = {"server": redacted(mlflow.get_tracking_uri()), "run_id": run.info.run_id}
        with whole_file(note) as unfinished:
            unfinished.write_text(json.dumps(noted), encoding="utf-8")
        try:
            yield run
        except InputError:
            note.unlink(missing_ok=True)
            raise
        note.unlink(missing_ok=True)


def _unfinished(note: Path) -> str | None:
    """Id of the run that an earlier attempt has left, if it is there still."""
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if noted.get("server") != redacted(mlflow.get_tracking_uri()):
        return None
    try:
        run = mlflow.get_run(noted["run_id"])
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return str(run.info.run_id) if run.info.lifecycle_stage == "active" else None


def claim(
    run: mlflow.ActiveRun,
    digest: str,
    training: str = "",
    note: str = "",
    *,
    name: str | None = None,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    opened: bool = False,
) -> None:
    """Note in the run, and in MLflow's list of its tables, what is logged there; a run holds ONE training.

    A description that the run has already stays; a name, and tags of the caller's, are given to it. A run that was
    `opened` this moment says itself what it holds, and one that was active before only what it held at its beginning.
    """
    client, run_id = MlflowClient(), run.info.run_id
    run_tags = (run if opened else client.get_run(run_id)).data.tags
    again = training and run_tags.get(TRAINING_TAG) == training  # an attempt that was broken off goes on
    if run_tags.get(_DIGEST_TAG, digest) != digest and not again:
        raise InputError(
            f"Run {run_id} holds another training already, and a run's parameters cannot change. "
            "End it (mlflow.end_run()), and log this one into a run of its own."
        )
    tables = json.loads(run_tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
    if LEDGER_TABLE not in tables:
        tables.append(LEDGER_TABLE)
    noted = {**tags, _DIGEST_TAG: digest, **({TRAINING_TAG: training} if training else {})}
    if note:
        noted[MLFLOW_RUN_NOTE] = run_tags.get(MLFLOW_RUN_NOTE) or note
    if name:
        noted[MLFLOW_RUN_NAME] = name
    noted[MLFLOW_LOGGED_ARTIFACTS] = json.dumps(tables)
    client.log_batch(
        run_id,
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in noted.items()],
    )


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Insist on tags that MLflow takes and that are not ours.

    Raises
    ------
    InputError
        A name or a value is no text, or a name begins with ``metamodel.``.

    Examples
    --------
    >>> check_tags({"team": "pricing"})
    {'team': 'pricing'}
    """
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str) or not name.strip():
            raise InputError(f"tags holds {short({name: value})}. Give texts for names and values.")
        if name.startswith("metamodel."):
            raise InputError(f"tags holds {name!r}, and names that begin with metamodel. are ours. Name it otherwise.")
    return dict(tags)


def cut(text: str) -> str:
    """Shorten a text to what a tag or a parameter may hold."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
