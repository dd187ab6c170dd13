"""What MLflow says of a logged model, and of an error."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import Model

from metamodel.common.uris import redacted
from metamodel.exceptions import UnreadableBundle

__all__ = ["MLMODEL", "bundle_of", "bundle_path", "inside", "one_line", "read_mlmodel", "recorded"]

MLMODEL = "MLmodel"


def read_mlmodel(directory: Path) -> Model:
    """Read what MLflow says of a logged model.

    Raises
    ------
    MlflowException
        There is no logged model in the directory.
    UnreadableBundle
        There is one, whose description nobody wrote like this.
    """
    try:
        return Model.load(str(directory))
    except MlflowException:
        raise
    except Exception as error:  # MLflow builds objects of what stands there, whatever it is
        raise UnreadableBundle(
            f"{directory / MLMODEL} cannot be read ({type(error).__name__}). Restore it, or log the model again."
        ) from error


def bundle_path(logged: Model) -> str | None:
    """Where a meta-model's bundle is inside the logged model; None for any other model.

    Raises
    ------
    UnreadableBundle
        The description names a place outside the model.
    """
    # MLflow keeps the name that the directory had where it was logged from.
    entry: Any = logged.flavors
    for name in ("python_function", "artifacts", "bundle", "path"):
        entry = entry.get(name) if isinstance(entry, dict) else None
    return inside(entry) if isinstance(entry, str) and "metamodel" in _metadata(logged) else None


def recorded(logged: Model) -> dict[str, Any]:
    """Give what was noted of a meta-model when it was logged: params of a call without any, the bundle's digest."""
    noted = _metadata(logged).get("metamodel")
    return noted if isinstance(noted, dict) else {}


def _metadata(logged: Model) -> dict[str, Any]:
    return logged.metadata if isinstance(logged.metadata, dict) else {}


def bundle_of(directory: Path) -> Path:
    """Find the bundle of a logged meta-model.

    Raises
    ------
    UnreadableBundle
        The model is another one.
    """
    path = bundle_path(read_mlmodel(directory))
    if path is None:
        raise UnreadableBundle(f"{directory} is an MLflow model, but not one that metamodel logged.")
    return directory / path


def inside(name: str) -> str:
    """Return a file's name as it is, if the file is inside the directory that the name is relative to.

    Raises
    ------
    UnreadableBundle
        It leads out of there.
    """
    paths = PurePosixPath(name), PureWindowsPath(name)
    if any(path.is_absolute() or path.drive or path.root or ".." in path.parts for path in paths):
        raise UnreadableBundle("The MLmodel, or its store, names a file outside the model. Log the model again.")
    return name


def one_line(error: BaseException) -> str:
    """Say what went wrong without the rest of the story."""
    if isinstance(error, MlflowException):
        return redacted(str(error.message).strip().partition("\n")[0].rstrip("."))
    return redacted(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].rstrip('.')}")
