"""Log a pyfunc model into a run with one request for each of its files, and three.

`mlflow.pyfunc.log_model` sends four more, to ask for what is known here, and loads the model once to try its example.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model
from mlflow.models.model import ModelInfo
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from metamodel.common.temp_dirs import temporary_directory
from metamodel.tracking.left_open import noted_open

__all__ = ["log_pyfunc"]

_NOTHING: Mapping[str, str] = {}


def log_pyfunc(
    run: mlflow.ActiveRun,
    name: str,
    parts: Mapping[str, Any],
    *,
    tags: Mapping[str, str] = _NOTHING,
    params: Mapping[str, str] = _NOTHING,
) -> ModelInfo:
    """Log a model as `mlflow.pyfunc.log_model` does; it is READY when it is complete, and FAILED when it never will be.

    Parameters
    ----------
    run
        The run that the model comes from.
    name
        The model's name.
    parts
        What `metamodel.flavor.pyfunc_args.pyfunc_parts` yields.
    tags, params
        Of the logged model.
    """
    client, run_id = MlflowClient(), run.info.run_id
    made = client.create_logged_model(
        run.info.experiment_id, name, source_run_id=run_id, tags=dict(tags), params=dict(params)
    )
    with _finished(client, made.model_id), temporary_directory("log") as directory:
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
        saved, place = directory / "model", made.artifact_location
        described = Model(artifact_path=place, run_id=run_id, model_uuid=made.model_id, model_id=made.model_id)
        mlflow.pyfunc.save_model(str(saved), mlflow_model=described, **parts)
        get_artifact_repository(place).log_artifacts(str(saved))
    return described.get_model_info(made)


@contextmanager
def _finished(client: MlflowClient, model_id: str) -> Iterator[None]:
    with noted_open("model", model_id):
        try:
            yield
        except BaseException:
            client.finalize_logged_model(model_id, "FAILED")
            raise
        client.finalize_logged_model(model_id, "READY")
