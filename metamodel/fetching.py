"""Get a model from where it lives, and leave nothing behind."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from metamodel.cache import ByteCache
from metamodel.exceptions import InputError, UnreadableBundle
from metamodel.manifest import MANIFEST_NAME
from metamodel.model import MetaModel

__all__ = ["load_model"]


def load_model(uri: str | Path, *, cache_bytes: int | None = None) -> MetaModel:
    """Open a meta-model without MLflow's wrapper around it: no signature between you and the model.

    Parameters
    ----------
    uri
        An MLflow URI (``models:/sales@champion``, ``models:/sales/3``, ``models:/m-...``, ``runs:/.../model``), or
        the directory of a bundle or of a logged model.
    cache_bytes
        Upper bound of the memory for this model's loaded children; by default the model shares the cache of the process
        (METAMODEL_CACHE_MB megabytes).

    Returns
    -------
    MetaModel

    Raises
    ------
    InputError
        There is no such model.
    UnreadableBundle
        The model is not one that `metamodel` logged.
    """
    cache = None if cache_bytes is None else ByteCache(cache_bytes)
    path = Path(uri)
    if (path / MANIFEST_NAME).is_file():
        return MetaModel(path, cache)
    if not path.is_dir():
        path = _local_copy(str(uri))
    try:
        logged = Model.load(str(path))
    except MlflowException as error:
        raise UnreadableBundle(
            f"{uri} holds neither a bundle nor an MLflow model. Give the path or URI of one."
        ) from error
    # MLflow keeps the name that the directory had where it was logged from.
    entry = logged.flavors.get("python_function", {}).get("artifacts", {}).get("bundle")
    if entry is None:
        raise UnreadableBundle(f"{uri} is an MLflow model, but not one that metamodel logged. Load it with MLflow.")
    recorded: dict[str, Any] = (logged.metadata or {}).get("metamodel", {})
    return MetaModel(path / entry["path"], cache, recorded.get("defaults"))


def _local_copy(uri: str) -> Path:
    if urlparse(uri).scheme in ("", "file"):
        raise InputError(
            f"There is no model at {uri!r}. Give an existing directory, or a URI such as models:/NAME@ALIAS."
        )
    try:
        if _lies_on_this_machine(uri):
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))  # the place itself, not a copy
        directory = tempfile.mkdtemp(prefix="metamodel-model-")
        # MLflow would leave its own temporary directory behind.
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=directory))
    except MlflowException as error:
        raise InputError(
            f"The model {uri!r} cannot be fetched from {mlflow.get_tracking_uri()} ({error.message.rstrip('.')}). "
            "Check the name, the version or alias, and MLFLOW_TRACKING_URI."
        ) from error


def _lies_on_this_machine(uri: str) -> bool:
    if not ModelsArtifactRepository.is_models_uri(uri):
        return False
    return urlparse(ModelsArtifactRepository.get_underlying_uri(uri)).scheme in ("", "file")
