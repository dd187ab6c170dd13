"""Which version a URI names, and what the registry knows of it."""

import re
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import did_you_mean, listing
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError

__all__ = ["Named", "aliases_of", "champion_of", "named_version", "version_of"]

# MLflow's own error codes for what is not there.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")

_BY_ALIAS = re.compile(r"models:/([^/@:]+)@([^/@]+)")

_BY_VERSION = re.compile(r"models:/([^/@:]+)/(\d+|latest)")

_LOGGED = re.compile(r"models:/(m-[^/@]+)")

_OF_RUN = re.compile(r"runs:/([0-9a-f]{32})(?:/.*)?")


@dataclass(frozen=True)
class Named:
    """What is known of a model by its name alone.

    Attributes
    ----------
    uri
        That names this very version for ever, where there is one.
    name, version
        Of a registered version; "" of what is none.
    run_id
        The run that logged it; "" where there is none.
    """

    uri: str
    name: str = ""
    version: str = ""
    run_id: str = ""

    def facts(self, digest: str) -> dict[str, Any]:
        """Plain JSON form, with the digest of the bundle."""
        return {"uri": redacted(self.uri), "name": self.name, "version": self.version, "digest": digest}


def named_version(model: Any) -> Named:
    """Resolve a model's URI to the version that it names now.

    Raises
    ------
    InputError
        There is no such registered model, version, alias, logged model or run.
    """
    if isinstance(model, MetaModel):
        return Named(str(model.bundle.path))
    uri = str(model)
    if match := _BY_ALIAS.fullmatch(uri):
        name, alias = match.groups()
        return _of_version(version_of(name, aliases_of(name, wanted=alias)[alias]))
    if match := _BY_VERSION.fullmatch(uri):
        name, version = match.groups()
        return _of_version(version_of(name, _latest(name) if version == "latest" else version))
    if match := _LOGGED.fullmatch(uri):
        try:
            return Named(uri, run_id=MlflowClient().get_logged_model(match[1]).source_run_id or "")
        except MlflowException as error:
            raise _absent(error, f"There is no logged model {match[1]!r}") from error
    if match := _OF_RUN.fullmatch(uri):
        return Named(uri, run_id=match[1])
    return Named(uri)


def champion_of(against: Any) -> tuple[Named | None, str]:
    """Resolve the version to judge against.

    Returns
    -------
    named, why : tuple of (Named or None, str)
        None with the reason where there is no champion: nothing was given, or the registered model has no such alias
        yet.

    Raises
    ------
    InputError
        There is no such model, or an alias was meant that has nearly the same name.
    """
    if against is None:
        return None, "none was given"
    match = _BY_ALIAS.fullmatch(str(against)) if not isinstance(against, MetaModel) else None
    if match is None:
        return named_version(against), ""
    name, alias = match.groups()
    aliases = aliases_of(name)
    if alias in aliases:
        return named_version(against), ""
    if meant := did_you_mean(alias, aliases):
        raise InputError(f"The registered model {name!r} has no alias {alias!r}.{meant}")
    return None, f"{name} has no alias {alias} yet"


def version_of(name: str, version: str) -> ModelVersion:
    """Look a version up.

    Raises
    ------
    InputError
        There is none of this number.
    """
    try:
        return MlflowClient().get_model_version(name, version)
    except MlflowException as error:
        aliases_of(name)  # says where there is no such model at all
        numbers = sorted(int(one.version) for one in MlflowClient().search_model_versions(f"name = '{name}'"))
        raise _absent(
            error, f"The registered model {name!r} has no version {version} (it has {listing(numbers[::-1])})"
        ) from error


def aliases_of(name: str, *, wanted: str = "") -> dict[str, str]:
    """Alias → number of the version that it points at.

    Raises
    ------
    InputError
        There is no such registered model, or it has no alias of the wanted name.
    """
    client = MlflowClient()
    try:
        aliases = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        known = [model.name for model in client.search_registered_models()]
        raise _absent(error, f"There is no registered model {name!r}", did_you_mean(name, known)) from error
    if wanted and wanted not in aliases:
        there = f"it has {listing(sorted(aliases))}" if aliases else "it has none"
        raise InputError(
            f"The registered model {name!r} has no alias {wanted!r} ({there}). Correct it, or promote a version first."
            f"{did_you_mean(wanted, aliases)}"
        )
    return aliases


def _latest(name: str) -> str:
    aliases_of(name)
    versions = [int(one.version) for one in MlflowClient().search_model_versions(f"name = '{name}'")]
    if not versions:
        raise InputError(f"The registered model {name!r} has no version. Register one first.")
    return str(max(versions))


def _of_version(version: ModelVersion) -> Named:
    return Named(f"models:/{version.name}/{version.version}", version.name, str(version.version), version.run_id or "")


def _absent(error: MlflowException, fact: str, meant: str = "") -> Exception:
    """Say what is not there; any other error of the store's stays what it is."""
    if error.error_code not in _ABSENT:
        return error
    return InputError(f"{fact} at {redacted(mlflow.get_tracking_uri())}. Check it and MLFLOW_TRACKING_URI.{meant}")
