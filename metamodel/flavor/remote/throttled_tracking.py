"""Throttle what MLflow sends by itself: each request takes its turn, and a lost answer does not end the whole work."""

import contextlib
import io
import math
from collections.abc import Iterator
from urllib.parse import urlsplit

import mlflow
import requests
from urllib3.exceptions import NewConnectionError

from metamodel.bundle.references import ReferenceSettings
from metamodel.flavor.remote.http_hook import Request, current, take_over
from metamodel.flavor.remote.throttle import TRANSIENT, LostAnswer, Throttle, throttle_for

__all__ = ["briefly", "throttled", "tracking_throttle"]

# What another request of the same kind would make a second time, and what is made so seldom that nobody looks for it.
_MAKING = ("/runs/create", "/model-versions/create")

# What MLflow's server refuses the second time, because it is there.
_REFUSED_TWICE = "/runs/outputs"


# Share of the patience that a server has for one question; what is uploaded has all of it.
_ONE_REQUEST = 0.25

_BRIEF = 5.0

_UPLOADS = "/mlflow-artifacts/"


def tracking_throttle(settings: ReferenceSettings, *, paced: bool = True) -> Throttle:
    """How the tracking server is called; where it is a file of this machine, there is nobody to be spared.

    Parameters
    ----------
    settings
        Rate and patience.
    paced
        Whether requests keep the rate; the few that log a bundle need not.
    """
    server = mlflow.get_tracking_uri()
    remote = paced and urlsplit(server).scheme in ("http", "https", "databricks")
    rate = settings.requests_per_second if remote else math.inf
    return throttle_for(server, rate, settings.patience_seconds)


@contextlib.contextmanager
def throttled(throttle: Throttle) -> Iterator[None]:
    """Send every request of MLflow's in the block in its turn, and again where the server failed for the moment.

    A request that makes something is not sent again when its answer was lost, because the server may have made it:
    that is an error of MLflow's, as ever.
    """
    take_over()
    token = current.set(_ThrottledSender(throttle))
    try:
        yield
    finally:
        current.reset(token)


@contextlib.contextmanager
def briefly() -> Iterator[None]:
    """Send every request of MLflow's in the block once, and wait seconds for its answer: for a last word to a server.

    Unlike what is `throttled`, it is sent also where the server has failed a moment ago.
    """
    take_over()
    token = current.set(_BriefSender())
    try:
        yield
    finally:
        current.reset(token)


class _BriefSender:
    """Sends a request once."""

    redirects = True
    session: requests.Session | None = None

    def longest(self, url: str) -> float | None:
        """Wait for seconds."""
        return _BRIEF

    def send(self, request: Request, method: str, url: str) -> requests.Response:
        """Send it."""
        return request()


class _Refused(Exception):
    def __init__(self, answer: requests.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


class _ThrottledSender:
    """Makes a throttled call of every single request."""

    redirects = True
    session: requests.Session | None = None

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def longest(self, url: str) -> float | None:
        """Try again, within the same patience, where a server that hangs, or is being replaced, keeps a request."""
        return self._throttle.patience * (1.0 if _UPLOADS in url else _ONE_REQUEST)

    def send(self, request: Request, method: str, url: str) -> requests.Response:
        """Send in turn until there is an answer, or patience ends."""
        path, lost = urlsplit(url).path, False
        makes = method.upper() == "POST" and path.endswith(_MAKING)

        def once() -> requests.Response:
            nonlocal lost
            call = current.get()
            assert call is not None  # the throttle's, which waits for its turn
            try:
                answer = call.send(request, method, url)
            except requests.exceptions.RequestException as error:
                if makes and not _never_arrived(error):
                    raise LostAnswer from error
                lost = True
                raise
            if answer.status_code in TRANSIENT:
                raise _Refused(answer)
            return _accepted() if lost and answer.status_code == 400 and path.endswith(_REFUSED_TWICE) else answer

        try:
            return self._throttle.call(url, once)
        except _Refused as refusal:
            return refusal.answer
        except LostAnswer as lost_answer:
            raise lost_answer.__cause__ or lost_answer from None


def _never_arrived(error: requests.exceptions.RequestException) -> bool:
    """Whether nobody listened, so that nothing can have been made."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(inner, NewConnectionError)


def _accepted() -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer.raw = 200, io.BytesIO(b"{}")
    return answer
