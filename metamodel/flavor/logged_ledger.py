"""Read what a logged model's bundle says of its groups, without fetching its children."""

from pathlib import PurePosixPath

import mlflow
import pandas as pd
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from metamodel.bundle.array_files import proven_table
from metamodel.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME, Manifest, read_manifest
from metamodel.bundle.reader import LEDGER_NAME
from metamodel.bundle.rollout.rollout_files import CHAMPION_DIR, ROLLOUT_NAME
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, MetaModelError
from metamodel.flavor.remote.mlmodel import MLMODEL, bundle_path, one_line, read_mlmodel

__all__ = ["read_logged_ledger"]


def read_logged_ledger(uri: str) -> tuple[Manifest, str, pd.DataFrame]:
    """Fetch a logged model's manifest and ledger: four small files, whatever its children weigh.

    Parameters
    ----------
    uri
        Such as ``models:/sales/8``.

    Returns
    -------
    manifest, digest, ledger : tuple of (Manifest, str, DataFrame)
        What the bundle says of itself, its digest, and one row a group; of a roll-out the champion's.

    Raises
    ------
    InputError
        There is no such model, or none that `metamodel` logged.
    """
    with temporary_directory("ledger") as directory:
        try:
            place = ModelsArtifactRepository.get_underlying_uri(uri)
            _fetch(place, MLMODEL, str(directory))
            bundle = bundle_path(read_mlmodel(directory))
            if bundle is None:
                raise InputError(f"{redacted(uri)} is an MLflow model, but not one that metamodel logged.")
            if _is_rollout(place, bundle):
                bundle = f"{bundle}/{CHAMPION_DIR}"
            for file in (MANIFEST_NAME, MANIFEST_DIGEST_NAME, LEDGER_NAME):
                _fetch(place, f"{bundle}/{file}", str(directory))
        except MetaModelError:
            raise
        except Exception as error:  # a store's client raises whatever it likes
            raise InputError(f"The ledger of {redacted(uri)} cannot be fetched ({one_line(error)}).") from error
        manifest, digest = read_manifest(directory)
        with proven_table(directory, LEDGER_NAME, manifest.files) as content:
            return manifest, digest, pd.read_parquet(content)


def _is_rollout(place: str, bundle: str) -> bool:
    files = mlflow.artifacts.list_artifacts(artifact_uri=f"{place.rstrip('/')}/{bundle}")
    return any(PurePosixPath(file.path).name == ROLLOUT_NAME for file in files)


def _fetch(place: str, file: str, directory: str) -> None:
    """Fetch one file; what lies on this machine is copied, and stays."""
    mlflow.artifacts.download_artifacts(artifact_uri=f"{place.rstrip('/')}/{file}", dst_path=directory)
