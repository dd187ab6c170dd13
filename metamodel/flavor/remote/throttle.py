"""Throttle requests to a server: take turns, start at different moments, and wait when told to.

Requests that MLflow sends inside `Throttle.call` are sent once, in their turn; what the server says about waiting is
heard, and tenacity decides when to try again (docs/decisions/0008-references.md). Inside `throttled_tracking.throttled`
each request is such a call of its own. MLflow's other requests go as ever.
"""

import email.utils
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlparse

import mlflow
import requests
import tenacity
from mlflow.exceptions import MlflowException

from metamodel.bundle.references import WORKERS_VARIABLE
from metamodel.common.fork_lock import ForkLock
from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.flavor.remote.disk_cache import cache_directory
from metamodel.flavor.remote.http_hook import Request, current, take_over
from metamodel.flavor.remote.rate_limit import LONGEST_WAIT, MachineTurns, RateLimiter

__all__ = [
    "TRANSIENT",
    "LostAnswer",
    "Throttle",
    "is_network",
    "seconds_to_wait",
    "server_of",
    "throttle_for",
    "workers",
]

Result = TypeVar("Result")

TRANSIENT = frozenset([408, 429, 500, 502, 503, 504])

_BRIEF = 2.0

# A call that was answered slowly, and has more to ask, is none that goes on failing: with its patience used up it still
# waits so many seconds for its turn behind other threads and processes.
_TURN = 1.0

_OF_TRACKING = frozenset(["models", "runs", "file"])


def workers() -> int:
    """Count the processes that share the server: METAMODEL_FETCH_WORKERS, else 1.

    Raises
    ------
    InputError
        The variable is no whole number of at least 1.
    """
    text = os.environ.get(WORKERS_VARIABLE) or "1"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{WORKERS_VARIABLE}={text!r} is no number of processes. Set it to 1 or more.")
    return int(text)


class _Deadline:
    """How long a call may still take; the pace that this process keeps by itself does not count."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._until - time.monotonic())

    def wait(self, limiter: RateLimiter, key: str, least: float = 0.0) -> None:
        """Wait for a turn, for the server's sake no longer than there is left, or `least` seconds."""
        self._until += limiter.wait(key, max(self.left, least))


@dataclass
class _Call:
    """One call of MLflow's, and what its requests came to."""

    limiter: RateLimiter
    key: str
    patience: _Deadline
    redirects: bool = True
    session: requests.Session | None = None
    turns: int = 0
    status: int = 0
    retry_after: float | None = None
    broken: bool = False

    def longest(self, url: str) -> float | None:
        """Leave a child's files the time that MLflow gives them."""
        return None

    def send(self, request: Request, method: str, url: str) -> requests.Response:
        """Send a request in its turn, which the first one of a call has waited for already."""
        if self.turns:
            self.patience.wait(self.limiter, self.key, _TURN)
        self.turns += 1
        try:
            answer = request()
        except requests.exceptions.RequestException:
            self.broken = True
            raise
        self.status = answer.status_code
        self.retry_after = seconds_to_wait(answer.headers.get("Retry-After"), answer.headers.get("Date"))
        if not self.redirects and (answer.is_redirect or answer.history):
            raise ChildUnavailable("the store answers with a redirect, which is not followed")
        return answer


class LostAnswer(Exception):
    """The answer to a request that must not be sent twice was lost: nobody tries again."""


class _TryAgain(Exception):
    def __init__(self, retry_after: float | None) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Throttle:
    """Calls a server at a rate, and again where it failed for the moment.

    Parameters
    ----------
    limiter
        Gives turns.
    patience
        Seconds after which a call that goes on failing is given up. Nobody waits longer than that for the server's
        sake: what asks for more (Retry-After) is given up at once.
    redirects
        Whether to follow them; not to an address that nobody has allowed.
    session
        To send requests with; None for MLflow's own.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        patience: float,
        *,
        redirects: bool = True,
        session: requests.Session | None = None,
    ) -> None:
        self.limiter = limiter
        self.patience = patience
        self._redirects = redirects
        self._session = session
        # "Full jitter": any moment between now and the exponentially growing bound.
        self._backoff = tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)

    def call(self, key: str, function: Callable[[], Result], what: str = "") -> Result:
        """Call a function of MLflow's in turn, and again where the server or the network failed for the moment.

        Parameters
        ----------
        key
            The group's encoded key.
        function
            Sends requests through MLflow; safe to repeat.
        what
            What is asked for, which is left alone for a while where it alone is not given; "" for the key.

        Raises
        ------
        Exception
            What the function raised for good, or last.
        """
        if self.limiter.given_up(self.patience) or self.limiter.given_up(self.patience, what or key):
            raise ChildUnavailable("the server did not answer a moment ago; it is asked again in half a minute")
        patience, began = _Deadline(self.patience), self.limiter.now()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=self._wait,
            stop=lambda state: state.upcoming_sleep >= patience.left,
            reraise=True,
        )
        try:
            return retrying(self._attempt, key, patience, function)
        except _TryAgain as error:
            self.limiter.give_up(self.patience, what or key, began)
            raise error.__cause__ or error from None

    def brief(self) -> "Throttle":
        """Return one with little patience, for those who know another way; it stops only its like from trying."""
        return Throttle(self.limiter, min(self.patience, _BRIEF), redirects=self._redirects, session=self._session)

    def _attempt(self, key: str, patience: _Deadline, function: Callable[[], Result]) -> Result:
        take_over()
        patience.wait(self.limiter, key)
        call = _Call(self.limiter, key, patience, self._redirects, self._session)
        token = current.set(call)
        try:
            result = function()
        except LostAnswer:
            raise
        except Exception as error:
            if call.status in TRANSIENT or call.broken or is_network(error):
                if call.retry_after is not None and call.retry_after < patience.left:
                    self.limiter.pause(call.retry_after)
                raise _TryAgain(call.retry_after) from error
            self.limiter.answered()
            raise
        else:
            self.limiter.answered()
            return result
        finally:
            current.reset(token)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        after = error.retry_after if isinstance(error, _TryAgain) else None
        # Behind a Retry-After jitter comes on top: all who were told the same moment would come back in it.
        return float(self._backoff(state)) + (after or 0.0)


def is_network(error: BaseException | None) -> bool:
    """Whether a connection failed or a body was cut; MLflow wraps some of these errors in its own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))  # the errors of a call inside a call name each other
        if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
            return True
        if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
            return True
        wrapped = isinstance(error, MlflowException)
        error = error.__cause__ or (error.__context__ if wrapped else None)
    return False


def seconds_to_wait(retry_after: str | None, sent: str | None = None) -> float | None:
    """Read the header Retry-After, seconds or a date; None where it says nothing.

    Parameters
    ----------
    retry_after
        What stands there.
    sent
        The header Date of the same answer: the server's clock, and not this machine's, tells how long a date is away.
    """
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        until, now = _moment(retry_after), _moment(sent)
        return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _moment(date: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


_limiters: dict[tuple[str, float], RateLimiter] = {}

_lock = ForkLock(forget=_limiters.clear)


def throttle_for(
    server: str,
    requests_per_second: float,
    patience: float,
    *,
    redirects: bool = True,
    session: requests.Session | None = None,
) -> Throttle:
    """Share one limiter for each server and rate among the threads of this process.

    It has its worker's part of the rate, and all processes of the machine together have no more than the rate.
    """
    rate = requests_per_second / workers()
    with _lock:
        if (server, rate) not in _limiters:
            turns = _machine_turns(server, requests_per_second)
            _limiters[server, rate] = RateLimiter(rate, machine=turns)
        return Throttle(_limiters[server, rate], patience, redirects=redirects, session=session)


def server_of(place: str) -> str:
    """Name the server that is asked for the files of a place: the tracking server, or the store's own.

    A store that is down or slow is thus no reason to leave the others alone.

    Examples
    --------
    >>> server_of("s3://models/sales/FR"), server_of("https://store.example/FR")
    ('s3://models', 'https://store.example')
    """
    tracking, parsed = mlflow.get_tracking_uri(), urlparse(place)
    if not parsed.netloc or parsed.scheme in _OF_TRACKING or parsed.netloc == urlparse(tracking).netloc:
        return str(tracking)
    return f"{parsed.scheme}://{parsed.netloc}"


def _machine_turns(server: str, rate: float) -> MachineTurns | None:
    if math.isinf(rate):
        return None
    try:
        return MachineTurns(cache_directory() / "turns", server, rate)
    except OSError:  # nothing can be kept here; fetching a child says so
        return None
