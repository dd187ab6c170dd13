"""A store in a file that is not there yet: one process makes it whole while the others wait.

MLflow makes the tables of a new database step by step, and what two processes begin at once, or one that is killed
leaves, can be used by nobody.
"""

import glob
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from metamodel.common.failures import storage_failures
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import StorageFailed

try:
    import fcntl
except ImportError:  # Windows: whoever comes second there is told what SQLite says
    fcntl = None  # type: ignore[assignment]

__all__ = ["make_databases"]

# Seconds that another process may take for what takes five.
_LONGEST = 120.0

_PAUSE = 0.05


def make_databases(uris: Iterable[str]) -> None:
    """Make the databases of stores where they are files that are not there yet.

    Parameters
    ----------
    uris
        Tracking URIs; what is no database of SQLite's is left alone.

    Raises
    ------
    StorageFailed
        The disk is full or cannot be written, or another process has been at it for two minutes.
    """
    for uri in uris:
        path = _file_of(uri)
        if path is not None and _is_empty(path):
            with storage_failures():
                path.parent.mkdir(parents=True, exist_ok=True)
                with _alone_in(path.parent):
                    if _is_empty(path):
                        _make(path)
                    # Adds the first experiment, which is there once as well.
                    MlflowClient(tracking_uri=uri)


def _file_of(uri: str) -> Path | None:
    """Name the file of a database; None for every other store, and for a database in memory."""
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name).absolute() if name and name != uri and not name.startswith((":memory:", "file:")) else None


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _make(path: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    for left in path.parent.glob(f".{glob.escape(path.name)}.unfinished-*"):  # who is here is alone: they were killed
        left.unlink(missing_ok=True)
    with whole_file(path) as unfinished:
        _initialize_tables(create_engine(f"sqlite:///{unfinished}", poolclass=NullPool))


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Be the one process that makes a database in a directory; the lock is on the directory, and leaves nothing."""
    if fcntl is None:
        yield
        return
    opened, begun = os.open(directory, os.O_RDONLY), time.monotonic()
    try:
        while not _locked(opened):
            if time.monotonic() - begun > _LONGEST:
                raise StorageFailed(
                    f"Another process has been making a database in {directory} for {_LONGEST:g} s. End it, or set "
                    "MLFLOW_TRACKING_URI to another store."
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(opened)


def _locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks of this kind
        return True
    return True
