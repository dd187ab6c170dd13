"""Be a good guest of the tracking server: take turns, start at different moments, and wait when told to.

Requests that MLflow sends inside `Courtesy.call` are sent once, in their turn; what the server says about waiting is
heard, and tenacity decides when to try again (docs/decisions/0008-references.md). Inside `pacing.paced` each request is
such a call of its own. MLflow's other requests go as ever.
"""

import email.utils
import hashlib
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
import tenacity
from mlflow.exceptions import MlflowException

from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.fetching.sending import Request, current, take_over

__all__ = [
    "TRANSIENT",
    "WORKERS_VARIABLE",
    "Courtesy",
    "LostAnswer",
    "RateLimiter",
    "courtesy_for",
    "first_delay",
    "is_network",
    "workers",
]

Result = TypeVar("Result")
WORKERS_VARIABLE = "METAMODEL_FETCH_WORKERS"
TRANSIENT = frozenset([408, 429, 500, 502, 503, 504])
_LONGEST_WAIT = 30.0
_BRIEF = 2.0


def first_delay(key: str, interval: float) -> float:
    """Seconds by which a process puts its first request off: a share of `interval` that follows from a group's key.

    Examples
    --------
    >>> first_delay('["FR",7]', 2.5) == first_delay('["FR",7]', 2.5), 0 <= first_delay('["DE",1]', 2.5) < 2.5
    (True, True)
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return interval * number / 2**64


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


class RateLimiter:
    """Gives turns to the threads of a process, evenly spaced (the generic cell rate algorithm without a burst).

    Parameters
    ----------
    rate
        Turns a second.
    clock, sleep
        For tests.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.interval = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next: float | None = None
        self._paused_until = -math.inf
        self._given_up_until = -math.inf
        self._in_vain = 0.0

    def wait(self, key: str = "", longest: float = math.inf) -> None:
        """Wait for the next turn; `key` decides how long the first one of the process is put off.

        Raises
        ------
        ChildUnavailable
            A pause lasts longer than `longest` seconds; no turn is taken.
        """
        with self._lock:
            now = self._clock()
            if self._next is None:
                self._next = now + first_delay(key, self.interval)
            if self._paused_until - now > longest:
                raise ChildUnavailable(f"the server wants to be left alone for {self._paused_until - now:.0f} s more")
            turn = max(self._next, self._paused_until, now)
            self._next = turn + self.interval
        if turn > now:
            self._sleep(turn - now)

    def pause(self, seconds: float) -> None:
        """Give no turn for some time."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def given_up(self, patience: float) -> bool:
        """Whether the server has just left a call unanswered that was as patient, so that nobody needs to try."""
        with self._lock:
            return patience <= self._in_vain and self._clock() < self._given_up_until

    def give_up(self, patience: float) -> None:
        """Note that the server does not answer a call that is so patient."""
        with self._lock:
            now = self._clock()
            self._in_vain = max(patience, self._in_vain if now < self._given_up_until else 0.0)
            self._given_up_until = now + _LONGEST_WAIT


@dataclass
class _Call:
    """One call of MLflow's, and what its requests came to."""

    limiter: RateLimiter
    key: str
    until: float
    turns: int = 0
    status: int = 0
    retry_after: float | None = None
    broken: bool = False

    def send(self, request: Request, method: str, url: str) -> requests.Response:
        """Send a request in its turn, which the first one of a call has waited for already."""
        if self.turns:
            self.limiter.wait(self.key, self.until - time.monotonic())
        self.turns += 1
        try:
            answer = request()
        except requests.exceptions.RequestException:
            self.broken = True
            raise
        self.status = answer.status_code
        self.retry_after = _seconds(answer.headers.get("Retry-After"))
        return answer


class LostAnswer(Exception):
    """The answer to a request that must not be sent twice was lost: nobody tries again."""


class _TryAgain(Exception):
    def __init__(self, retry_after: float | None) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Courtesy:
    """Calls a server politely.

    Parameters
    ----------
    limiter
        Gives turns.
    patience
        Seconds after which a call that goes on failing is given up. Nobody waits longer than that for the server's
        sake: what asks for more (Retry-After) is given up at once.
    """

    def __init__(self, limiter: RateLimiter, patience: float) -> None:
        self.limiter = limiter
        self._patience = patience
        # "Full jitter": any moment between now and the exponentially growing bound.
        self._backoff = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)

    def call(self, key: str, function: Callable[[], Result]) -> Result:
        """Call a function of MLflow's in turn, and again where the server or the network failed for the moment.

        Parameters
        ----------
        key
            The group's encoded key.
        function
            Sends requests through MLflow; safe to repeat.

        Raises
        ------
        Exception
            What the function raised for good, or last.
        """
        if self.limiter.given_up(self._patience):
            raise ChildUnavailable("the server did not answer a moment ago; it is asked again in half a minute")
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=self._wait,
            stop=tenacity.stop_before_delay(self._patience),
            reraise=True,
        )
        try:
            return retrying(self._attempt, key, time.monotonic() + self._patience, function)
        except _TryAgain as error:
            self.limiter.give_up(self._patience)
            raise error.__cause__ or error from None

    def brief(self) -> "Courtesy":
        """Return one with little patience, for those who know another way; it stops only its like from trying."""
        return Courtesy(self.limiter, min(self._patience, _BRIEF))

    def _attempt(self, key: str, until: float, function: Callable[[], Result]) -> Result:
        take_over()
        self.limiter.wait(key, until - time.monotonic())
        call = _Call(self.limiter, key, until)
        token = current.set(call)
        try:
            return function()
        except LostAnswer:
            raise
        except Exception as error:
            if call.status in TRANSIENT or call.broken or is_network(error):
                if call.retry_after is not None and time.monotonic() + call.retry_after < until:
                    self.limiter.pause(call.retry_after)
                raise _TryAgain(call.retry_after) from error
            raise
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


def _seconds(retry_after: str | None) -> float | None:
    """Read the header: seconds, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return _seconds_until(retry_after)


def _seconds_until(date: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


_lock = threading.Lock()
_limiters: dict[tuple[str, float], RateLimiter] = {}


def courtesy_for(server: str, requests_per_second: float, patience: float) -> Courtesy:
    """Share one limiter for each server and rate among the threads of this process; it has its worker's part."""
    rate = requests_per_second / workers()
    with _lock:
        limiter = _limiters.setdefault((server, rate), RateLimiter(rate))
    return Courtesy(limiter, patience)


def _forget_after_fork() -> None:
    # A lock that another thread held at the moment of the fork would stay locked for ever in the child process.
    global _lock
    _lock = threading.Lock()
    _limiters.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
