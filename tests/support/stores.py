"""New tracking stores that cost nothing: MLflow's migrations run once for all processes of the tests."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

# Where the processes of this session share a store without a run and without an experiment.
_SHARED = "METAMODEL_TESTS_STORES"


def share_stores(directory: Path) -> None:
    """Say where the processes of a session share what they copy."""
    os.environ[_SHARED] = str(directory)


def new_store(directory: Path, name: str = "mlflow.db") -> str:
    """Make a store whose tables are there; who opens it first adds MLflow's first experiment.

    Parameters
    ----------
    directory
        Where its file is to be; made where it is not there.
    name
        Name of the file.

    Returns
    -------
    str
        Its URI.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_migrated(Path(os.environ.get(_SHARED) or _of_this_process().name)), directory / name)
    return f"sqlite:///{directory / name}"


@functools.cache
def _of_this_process() -> "tempfile.TemporaryDirectory[str]":
    """Make a folder for whoever is no test, such as a benchmark."""
    return tempfile.TemporaryDirectory()


def _migrated(directory: Path) -> Path:
    path = directory / "migrated.db"
    with FileLock(directory / "migrated.lock"):
        if not path.exists():
            from mlflow.store.db.utils import _initialize_tables
            from sqlalchemy import create_engine
            from sqlalchemy.pool import NullPool

            unfinished = directory / "unfinished.db"
            unfinished.unlink(missing_ok=True)
            _initialize_tables(create_engine(f"sqlite:///{unfinished}", poolclass=NullPool))
            unfinished.rename(path)
    return path
