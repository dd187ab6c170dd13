"""Runs that an earlier attempt at the same training has left, for those who began a new one without knowing it."""

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from metamodel.flavor.remote import Throttle, one_line

__all__ = ["TRAINING_TAG", "hint_at_earlier"]

# What was trained on what; the same command on the same rows may go on in a run that has it.
TRAINING_TAG = "metamodel.training"


def hint_at_earlier(run: Run, training: str, throttle: Throttle) -> str | None:
    """Say where an earlier attempt can be gone on with, if there is one.

    It is not gone on with unasked: a run that was killed says that it is running, like one that is.

    Parameters
    ----------
    run
        The run that is logged into.
    training
        What its tag says.
    throttle
        How the server is asked: once.
    """
    query = f"tags.`{TRAINING_TAG}` = '{training}'"
    try:
        runs = throttle.call("", lambda: MlflowClient().search_runs([run.info.experiment_id], query, max_results=10))
    except MlflowException as error:  # such as who may log, and not search: nothing else depends on it
        return f"whether an earlier attempt has left a run cannot be told ({one_line(error)})"
    earlier = [other for other in runs if other.info.run_id != run.info.run_id and other.info.status != "FINISHED"]
    if not earlier:
        return None
    other = earlier[0].info
    return (
        f"run {other.run_id} of the same training did not end ({other.status}). What it logged stays there, and this "
        f"run logs all groups anew. To go on there instead, stop this one, and repeat the command with "
        f"MLFLOW_RUN_ID={other.run_id}, or mlflow run with --run-id {other.run_id}."
    )
