"""Stand between MLflow and the network: who is responsible for a context's requests says when each is sent."""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import requests
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils import rest_utils

from metamodel.common.fork_lock import ForkLock

__all__ = ["Request", "Sender", "current", "download_file", "requests_sent", "take_over"]

Request = Callable[[], requests.Response]

_FUNCTION = "_get_http_response_with_retries"


class Sender(Protocol):
    """Sends the requests that MLflow wants to send."""

    redirects: bool
    session: requests.Session | None  # to send them with, in place of MLflow's own

    def longest(self, url: str) -> float | None:
        """Seconds that one request may take; None for MLflow's own limit."""
        ...

    def send(self, request: Request, method: str, url: str) -> requests.Response:
        """Send one, now or later, once or again."""
        ...


current: ContextVar[Sender | None] = ContextVar("metamodel_sender", default=None)


class _Counter:
    def __init__(self) -> None:
        self.total = 0
        self._lock = ForkLock(self._count_anew)

    def _count_anew(self) -> None:
        self.total = 0

    def add(self) -> None:
        with self._lock:
            self.total += 1


_sent = _Counter()


def requests_sent() -> int:
    """Count the requests that this process has sent through a sender so far."""
    return _sent.total


def download_file(repository: ArtifactRepository, name: str, target: Path) -> None:
    """Fetch one file with one request; MLflow's public way lists its folder first, and fetches in threads of its own.

    Parameters
    ----------
    repository
        Where the model lies.
    name
        Path below it.
    target
        File to write.
    """
    repository._download_file(name, str(target))


def take_over() -> None:
    """Make MLflow's one function that sends requests hand them to the context's sender, and not retry by itself."""
    original = getattr(rest_utils, _FUNCTION, None)
    if original is None or getattr(original, "throttles", False):
        return

    parameters = inspect.signature(original)

    def send(*args: Any, **kwargs: Any) -> Any:
        sender = current.get()
        if sender is None:
            return original(*args, **kwargs)
        given = parameters.bind(*args, **kwargs)
        given.arguments |= {"max_retries": 0, "raise_on_status": False}
        if not sender.redirects:
            given.arguments["allow_redirects"] = False
        if (longest := sender.longest(given.arguments["url"])) is not None:
            _limit(given, longest)
        body: Any = given.kwargs.get("data")
        start = body.tell() if hasattr(body, "seek") else None

        def request() -> requests.Response:
            if start is not None:
                body.seek(start)  # a file that was sent before is at its end
            _sent.add()
            if sender.session is not None:
                return _sent_with(sender.session, given)
            answer: requests.Response = original(*given.args, **given.kwargs)
            return answer

        return sender.send(request, given.arguments["method"], given.arguments["url"])

    send.throttles = True  # type: ignore[attr-defined]
    setattr(rest_utils, _FUNCTION, send)


def _sent_with(session: requests.Session, given: inspect.BoundArguments) -> requests.Response:
    """Send what MLflow would send with another session, without following it elsewhere."""
    named = given.arguments
    return session.request(named["method"], named["url"], allow_redirects=False, **named.get(_rest_of(given), {}))


def _rest_of(given: inspect.BoundArguments) -> str:
    """Name the argument in which MLflow collects what it only hands on to `requests`."""
    parameters = given.signature.parameters.items()
    return next(name for name, known in parameters if known.kind is inspect.Parameter.VAR_KEYWORD)


def _limit(given: inspect.BoundArguments, seconds: float) -> None:
    """Let a request wait no longer; `requests` takes the time among the arguments that MLflow only hands on."""
    named = given.arguments
    if "timeout" not in given.signature.parameters:
        named = given.arguments.setdefault(_rest_of(given), {})
    named["timeout"] = min(seconds, named.get("timeout") or seconds)
