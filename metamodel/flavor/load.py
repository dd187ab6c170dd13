"""Get a model from where it lives, once a process, and leave nothing behind."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from metamodel.bundle.model import MetaModel
from metamodel.bundle.preload import Preload
from metamodel.bundle.references import ReferenceSettings
from metamodel.bundle.rollout.opening import open_model
from metamodel.bundle.rollout.rollout_files import holds_model
from metamodel.common.byte_cache import ByteCache
from metamodel.common.fork_lock import ForkLock
from metamodel.common.messages import short
from metamodel.common.temp_dirs import discard, scratch_directory
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, UnreadableBundle
from metamodel.flavor.environment import CODE_DIR
from metamodel.flavor.registered_names import meant_by_uri
from metamodel.flavor.remote.loader import ElsewhereLoader, fetch_description, fetch_files
from metamodel.flavor.remote.mlmodel import bundle_path, one_line, read_mlmodel, recorded
from metamodel.flavor.remote.server_check import check_tracking_server, needs_tracking_server
from metamodel.flavor.remote.throttle import is_network
from metamodel.flavor.remote.throttled_tracking import throttled, tracking_throttle
from metamodel.flavor.zip_file import unpacked_for_good

__all__ = ["forget_download", "load_model", "open_bundle"]


def load_model(uri: str | Path, *, cache_bytes: int | None = None, preload: Preload | None = None) -> MetaModel:
    """Open a meta-model without MLflow's wrapper around it: no signature between you and the model.

    Parameters
    ----------
    uri
        An MLflow URI (``models:/sales@champion``, ``models:/sales/3``, ``models:/m-...``, ``runs:/.../model``), or
        the directory of a bundle or of a logged model, or the file that ``metamodel pack --zip`` wrote.
    cache_bytes
        Upper bound of the memory for this model's loaded children; by default the model shares the cache of the process
        (METAMODEL_CACHE_MB megabytes).
    preload
        Hot groups whose children to load now, so that no request waits for them: a number (those with the most training
        rows), a list of keys, or the path of a table (CSV or Parquet) with the group columns. Fills the room that the
        cache has and pushes nothing out; `model.stats()["preload"]` says what came of it, and a warning names groups
        without a child.

    Returns
    -------
    MetaModel

    Raises
    ------
    InputError
        There is no such model, or it is not one that `metamodel` logged.
    TrackingServerUnavailable
        The tracking server that knows it is not there, or does not answer.
    UnreadableBundle
        It holds another bundle than the one that was logged.
    """
    model = _opened(uri, None if cache_bytes is None else ByteCache(cache_bytes))
    if preload is not None:
        model.preload(preload)
    return model


def _opened(uri: str | Path, cache: ByteCache | None) -> MetaModel:
    if not isinstance(uri, str | Path):
        raise InputError(f"{short(uri)} ({type(uri).__name__}) is no model. Give the path or URI of one.")
    path = Path(uri)
    if holds_model(path):
        return open_bundle(path, cache)
    if path.is_file():
        path = unpacked_for_good(path)
    elif not path.is_dir():
        path = _local_copy(str(uri))
    try:
        logged = read_mlmodel(path)
    except MlflowException as error:
        raise InputError(
            f"{redacted(str(uri))} holds neither a bundle nor an MLflow model. Give the path or URI of one."
        ) from error
    bundle, noted = bundle_path(logged), recorded(logged)
    if bundle is None:
        raise InputError(
            f"{redacted(str(uri))} is an MLflow model, but not one that metamodel logged. Load it with MLflow."
        )
    if noted.get("code"):
        _importable(path / CODE_DIR)
    model = open_bundle(path / bundle, cache, noted.get("defaults"), path)
    if noted.get("bundle") != model.digest:
        raise UnreadableBundle(
            f"{redacted(str(uri))} holds another bundle than the one that was logged. Restore it, or log it again."
        )
    return model


def _importable(code: Path) -> None:
    """Let children find the code that travels with them, behind everything that is installed here."""
    if str(code.absolute()) not in sys.path:
        sys.path.append(str(code.absolute()))


def open_bundle(
    path: str | Path,
    cache: ByteCache | None = None,
    defaults: Mapping[str, Any] | None = None,
    logged: Path | None = None,
) -> MetaModel:
    """Open a bundle, or a roll-out, whose children may live elsewhere; they are fetched when they are asked for.

    Parameters
    ----------
    path, cache, defaults, logged
        As for `MetaModel`.
    """
    return open_model(path, cache, defaults, ElsewhereLoader(str(Path(path).absolute())), logged)


def _local_copy(uri: str) -> Path:
    if urlparse(uri).scheme in ("", "file"):
        raise InputError(
            f"There is no model at {redacted(uri)!r}. Give an existing directory, or a URI such as models:/NAME@ALIAS."
        )
    if needs_tracking_server(uri):
        check_tracking_server()
    try:
        underlying = _underlying(uri)
        if underlying is None:
            return _download(uri)
        if urlparse(underlying).scheme in ("", "file"):
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))  # the place itself, not a copy
        return _downloaded_once(uri, (mlflow.get_tracking_uri(), underlying))
    except Exception as error:  # a store's client raises whatever it likes
        raise InputError(
            f"The model {redacted(uri)!r} cannot be fetched from {redacted(mlflow.get_tracking_uri())} "
            f"({one_line(error)}). "
            "Check the name, the version or alias, MLFLOW_TRACKING_URI, and that the store's package is installed."
            f"{meant_by_uri(uri) if isinstance(error, MlflowException) and not is_network(error) else ''}"
        ) from error


def _underlying(uri: str) -> str | None:
    """Say where a logged model's files are, or None where they may change or MLflow does not tell."""
    if ModelsArtifactRepository.is_models_uri(uri):
        with throttled(tracking_throttle(ReferenceSettings())):
            return str(ModelsArtifactRepository.get_underlying_uri(uri))
    return None


_download_lock = ForkLock()

_downloaded: dict[tuple[str, str], Path] = {}


def _downloaded_once(uri: str, place: tuple[str, str]) -> Path:
    with _download_lock:
        path = _downloaded.get(place)
        if path is None or not path.is_dir():
            path = _downloaded[place] = _fetched(uri, place[1])
        return path


def forget_download(model: MetaModel) -> None:
    """Take the files of a model away that nobody uses any more, where this very process has fetched them."""
    with _download_lock:
        for place, path in list(_downloaded.items()):
            if path == model.logged and discard(path):
                del _downloaded[place]


def _fetched(uri: str, place: str) -> Path:
    """Fetch a logged model; what lies on the tracking server file by file, throttled, and without our own code."""
    if urlparse(place).scheme != "mlflow-artifacts":
        return _download(uri)
    throttle, directory = tracking_throttle(ReferenceSettings()), scratch_directory("model")
    logged = fetch_description(throttle, uri, place, directory)
    example = (logged.saved_input_example_info or {}).get("artifact_path")
    bundle = bundle_path(logged)
    code = [f"{CODE_DIR}/{name}" for name in recorded(logged).get("code", ())]
    files, folders = [example] if example else [], [bundle] if bundle else []
    files += [name for name in code if name.endswith(".py")]
    folders += [name for name in code if not name.endswith(".py")]
    fetch_files(throttle, uri, place, directory, (files, folders))
    return directory


def _download(uri: str) -> Path:
    directory = scratch_directory("model")  # MLflow would leave its own temporary directory behind
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(directory)))
