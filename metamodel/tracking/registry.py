"""The model registry: what is said of a version, and which one is the champion."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.flavor.remote import check_tracking_server, is_network
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.event_history import event_log
from metamodel.tracking.events import Event, later_than
from metamodel.tracking.registry_writes import set_alias

__all__ = ["check_names", "model_of_run", "register_version"]

_LOST_ANSWERS = 3

# Of a store, and of Databricks' one.
_THERE_ALREADY, _NOT_THERE = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"), ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def check_names(name: str | None, alias: str | None, logged: str = "model") -> None:
    """Insist on names that MLflow takes, before there is a version that is half described.

    Parameters
    ----------
    name, alias
        Of the registered model; empty or None where there is none.
    logged
        Name of the logged model.

    Raises
    ------
    InputError
        MLflow would refuse one of them, or there is an alias and no model that could have it.

    Examples
    --------
    >>> check_names("sales", "v2")
    Traceback (most recent call last):
    metamodel.exceptions.InputError: MLflow does not take the alias 'v2'. Use letters, digits, _ and -, \
but neither 'latest' nor 'v' with a number.
    """
    if alias and not name:
        raise InputError("An alias needs a registered model. Give registered_model_name (--register NAME) too.")
    if name and (not name.strip() or re.search("[/:]", name)):
        raise InputError(f"MLflow does not take the name {name!r} for a model. Leave '/' and ':' out of it.")
    if not logged or re.search(r"[/:.%\"']", logged):
        raise InputError(
            f"MLflow does not take the name {logged!r} for a logged model. Leave / : . % and quotation marks out of it."
        )
    if alias and (not re.fullmatch("[A-Za-z0-9_-]+", alias) or re.fullmatch("latest|v[0-9]+", alias, re.IGNORECASE)):
        raise InputError(
            f"MLflow does not take the alias {alias!r}. "
            "Use letters, digits, _ and -, but neither 'latest' nor 'v' with a number."
        )


def model_of_run(uri: str) -> str:
    """Find the model that a run logged.

    Parameters
    ----------
    uri
        A run's id, or ``runs:/<id>``; anything else is handed back as it is.

    Raises
    ------
    InputError
        There is no such run, or it logged no model.
    """
    run_id = uri.removeprefix("runs:/").rstrip("/")
    if not re.fullmatch("[0-9a-f]{32}", run_id) or Path(uri).exists():
        return uri
    check_tracking_server()
    try:
        run = mlflow.get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"There is no run {run_id!r} at {redacted(mlflow.get_tracking_uri())}. "
            "Check its id and MLFLOW_TRACKING_URI."
        ) from error
    models = run.outputs.model_outputs if run.outputs else []
    if not models:
        raise InputError(f"Run {run_id!r} logged no model. Give a run that metamodel trained in, or a model's URI.")
    return f"models:/{models[-1].model_id}"


def register_version(
    name: str,
    model_id: str,
    description: str,
    tags: Mapping[str, str],
    alias: str | None,
    history: str | Path | None = None,
) -> int:
    """Register a version of a model that was just logged, and point the alias at it when all of it is there.

    Where there is a history, the alias's move is an event, as a promotion is one: a tag of the version, and a row.

    Returns
    -------
    int
        The new version's number.
    """
    client = MlflowClient()
    version = _registered_once(client, name, model_id, description, tags)
    # By this, MLflow's page of the logged model shows the version.
    registered = json.dumps([{"name": version.name, "version": version.version}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: registered})
    if alias:
        _point(client, alias, version, history)
    return int(version.version)


def _point(client: MlflowClient, alias: str, version: ModelVersion, history: str | Path | None) -> None:
    """Move an alias; an event of it costs five requests more, which only who keeps a history has asked for."""
    is_event = HistoryStore.configured(history) is not None
    replaced = str(client.get_registered_model(version.name).aliases.get(alias, "")) if is_event else ""
    set_alias(version.name, alias, version.version)
    if is_event:
        log = event_log(history)
        facts = {"name": version.name, "alias": alias, "version": str(version.version), "replaced": replaced}
        log.append(Event.now(kind="register", when=later_than(log.of(version.name)), **facts))


def _registered_once(
    client: MlflowClient, name: str, model_id: str, description: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Register a version; where the answer was lost, look first for what the request may have made."""
    for _ in range(_LOST_ANSWERS):
        try:
            return _registered(client, name, model_id, description, tags)
        except MlflowException as error:
            if not is_network(error):
                raise
            made = client.search_model_versions(f"source_path = 'models:/{model_id}'")
            if mine := [version for version in made if version.name == name]:
                return mine[0]
    return _registered(client, name, model_id, description, tags)


def _registered(
    client: MlflowClient, name: str, model_id: str, description: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Register a version as `mlflow.register_model` does, which cannot be given its description.

    That the registered model is there is the rule: it is made where a version finds it missing.
    """
    made: dict[str, Any] = {"tags": dict(tags), "description": description, "model_id": model_id}
    try:
        return client.create_model_version(name, f"models:/{model_id}", **made)
    except MlflowException as error:
        if error.error_code not in _NOT_THERE:
            raise
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in _THERE_ALREADY:
            raise
    return client.create_model_version(name, f"models:/{model_id}", **made)
