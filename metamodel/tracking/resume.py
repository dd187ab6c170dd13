"""The run that the same command was broken off in: noted beside the bundle, for a new process knows nothing of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.tracking.run import training_run

__all__ = ["resumable_run"]


@contextmanager
def resumable_run(experiment: str | None, bundle: str | Path | None) -> Iterator[mlflow.ActiveRun]:
    """Open the run to log into, and go on in the one of an earlier attempt that did not end well.

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
        note.write_text(
            json.dumps({"server": redacted(mlflow.get_tracking_uri()), "run_id": run.info.run_id}), encoding="utf-8"
        )
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
