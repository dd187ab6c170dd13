"""What MLflow says of a logged model, and of an error."""

from pathlib import Path, PurePosixPath, PureWindowsPath

from mlflow.exceptions import MlflowException
from mlflow.models import Model

from metamodel.exceptions import UnreadableBundle

__all__ = ["MLMODEL", "bundle_of", "bundle_path", "inside", "one_line"]

MLMODEL = "MLmodel"


def bundle_path(logged: Model) -> str | None:
    """Where a meta-model's bundle is inside the logged model; None for any other model."""
    # MLflow keeps the name that the directory had where it was logged from.
    entry = logged.flavors.get("python_function", {}).get("artifacts", {}).get("bundle")
    return None if entry is None or "metamodel" not in (logged.metadata or {}) else str(entry["path"])


def bundle_of(directory: Path) -> Path:
    """Find the bundle of a logged meta-model.

    Raises
    ------
    UnreadableBundle
        The model is another one.
    """
    path = bundle_path(Model.load(str(directory)))
    if path is None:
        raise UnreadableBundle(f"{directory} is an MLflow model, but not one that metamodel logged.")
    return directory / inside(path)


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
        return str(error.message).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].rstrip('.')}"
