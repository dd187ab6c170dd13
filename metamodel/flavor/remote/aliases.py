"""Where children are now: aliases become versions, once a process or again on an interval."""

import time

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from metamodel.bundle.references import ReferenceSettings
from metamodel.common.byte_cache import ByteCache
from metamodel.flavor.remote.rate_limit import first_delay
from metamodel.flavor.remote.throttle import Throttle

__all__ = ["place_now", "resolve_place"]


def resolve_place(uri: str) -> str:
    """Say where the files of a model are now; up to two requests for ``models:/`` and ``runs:/``, none for others."""
    if ModelsArtifactRepository.is_models_uri(uri):
        return str(ModelsArtifactRepository.get_underlying_uri(uri))
    if RunsArtifactRepository.is_runs_uri(uri):
        return str(RunsArtifactRepository.get_underlying_uri(uri))
    return uri


# One request at a time for each URI; the value of an epoch is asked for once.
_resolved = ByteCache(limit=1_000_000)

_last_known: dict[tuple[str, str], str] = {}


def place_now(uri: str, key: str, settings: ReferenceSettings, throttle: Throttle) -> str:
    """Say where the files of a model are, as this process knows it; asked again where the settings say so.

    Parameters
    ----------
    uri
        An alias, a version, or any other.
    key
        The group's encoded key.
    settings
        How often to ask.
    throttle
        How to ask.
    """
    here = (mlflow.get_tracking_uri(), uri)
    every = settings.refresh_seconds
    # Each URI has its own moment, so that they are not all asked for again at once.
    epoch = 0 if every is None else int((time.monotonic() + first_delay(uri, every)) // every)

    def ask() -> tuple[str, int]:
        last_place = _last_known.get(here)
        try:
            place = (throttle if last_place is None else throttle.brief()).call(key, lambda: resolve_place(uri), uri)
        except Exception as error:
            if _is_gone(error):
                _last_known.pop(here, None)
                raise
            if last_place is None:
                raise
            place = last_place  # better yesterday's champion than none, until the next refresh
        _last_known[here] = place
        return place, 1

    return str(_resolved.get((*here, epoch), ask))


def _is_gone(error: Exception) -> bool:
    """Whether the server itself says that there is no such child any more."""
    # An alias that a model lacks is an invalid parameter to MLflow.
    return isinstance(error, MlflowException) and error.error_code in (
        "RESOURCE_DOES_NOT_EXIST",
        "INVALID_PARAMETER_VALUE",
    )
