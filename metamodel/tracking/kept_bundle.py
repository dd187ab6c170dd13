"""What was trained is not lost where it cannot be logged: the bundle stays, and the error says how to log it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import requests
from mlflow.exceptions import MlflowException

from metamodel.common.failures import failure_line
from metamodel.common.messages import error_text
from metamodel.common.progress import say
from metamodel.common.temp_dirs import keep
from metamodel.common.uris import redacted
from metamodel.exceptions import (
    ChildUnavailable,
    InputError,
    LoggingFailed,
    MetaModelError,
    StorageFailed,
    TrackingServerUnavailable,
)
from metamodel.flavor.remote import is_network

__all__ = ["bundle_kept"]

_OF_STORES = (MlflowException, requests.RequestException, ChildUnavailable, TrackingServerUnavailable)


@contextmanager
def bundle_kept(bundle: Path) -> Iterator[None]:
    """Keep a finished bundle where the block, which logs it, fails; also one that would go when the process ends.

    Raises
    ------
    LoggingFailed
        The server did not answer, or refused, or a disk is full: with how to log the bundle. What is the caller's
        mistake, or one of ours, is let through.
    """
    try:
        yield
    except InputError:
        raise
    except LoggingFailed:
        keep(bundle)
        raise
    except (Exception, KeyboardInterrupt) as error:
        keep(bundle)
        remedy = f"The training is finished. Log its bundle with: metamodel log {shlex.quote(str(bundle))}"
        if (fact := _fact(error)) is None:
            say(remedy)
            raise
        raise LoggingFailed(f"{fact} {remedy}") from error


def _fact(error: BaseException) -> str | None:
    """Say what the store, or this machine, did; None where neither is at fault."""
    if isinstance(error, StorageFailed):
        return str(error)
    if line := failure_line(error):
        return line
    of_store = _first_of_store(error)
    if of_store is None or (isinstance(error, MetaModelError) and not isinstance(error, _OF_STORES)):
        return None
    server, reason = redacted(mlflow.get_tracking_uri()), redacted(error_text(of_store))
    if is_network(of_store) or isinstance(of_store, ChildUnavailable):
        return f"The tracking server {server} has stopped answering ({reason})."
    return f"The model could not be logged at {server} ({reason})."


def _first_of_store(error: BaseException) -> BaseException | None:
    """Find what went wrong first: MLflow tidies up where a model could not be logged, and may fail at that too."""
    first: BaseException | None = None
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))  # the errors of a call inside a call name each other
        if isinstance(current, _OF_STORES):
            first = current
        current = current.__cause__ or current.__context__
    return first
