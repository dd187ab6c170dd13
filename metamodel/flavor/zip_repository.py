"""MLflow's way to a packed model: ``mlflow models serve -m zip:sales.zip``.

MLflow comes here through `metamodel_zip`. Nothing but packed meta-models is given out.
"""

from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from metamodel.flavor.zip_file import unpacked_for_good

__all__ = ["open_store"]


def open_store(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    """Make the artifact repository of a ``zip:`` URI, as MLflow asks for it.

    Parameters
    ----------
    artifact_uri
        ``zip:`` and the path of the file, or of the directory that holds it.
    tracking_uri, registry_uri
        Not used: a packed model needs no server.

    Returns
    -------
    mlflow.store.artifact.artifact_repo.ArtifactRepository
        For reading.
    """
    return _ZipArtifactRepository(artifact_uri, tracking_uri, registry_uri)


class _ZipArtifactRepository(ArtifactRepository):
    """Unpacks the file as a whole; it is opened nowhere else."""

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Unpack the file, and return the directory."""
        file = _path(self.artifact_uri) / (artifact_path or "")
        return str(unpacked_for_good(file, None if dst_path is None else Path(dst_path)))

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        """List nothing: a packed model is one piece."""
        del path
        return []

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        raise MlflowException.invalid_parameter_value("A packed model is downloaded as a whole. Name its file.")

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Refuse to write."""
        raise MlflowException.invalid_parameter_value("A packed model is not written to. Use metamodel pack --zip.")

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Refuse to write."""
        self.log_artifact(local_dir, artifact_path)


def _path(uri: str) -> Path:
    """Take the path out of ``zip:sales.zip``, ``zip:/models/sales.zip`` or ``zip:///models/sales.zip``."""
    return Path(uri.partition(":")[2].removeprefix("//"))
