"""Children behind scoring servers: MLflow's protocol, with a deadline, retries, and a breaker for each endpoint."""

import copy
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import pandas as pd
import requests
import tenacity

from metamodel.bundle.references import ReferenceSettings
from metamodel.common.arrays import AnyArray
from metamodel.common.fork_lock import ForkLock
from metamodel.common.uris import redacted
from metamodel.exceptions import ChildFailed, ChildUnavailable, RowsRefused
from metamodel.flavor.remote.connections import deadline, open_session
from metamodel.flavor.remote.endpoint_tokens import token_for
from metamodel.flavor.remote.protocol import predictions_in, question, rows_refused
from metamodel.flavor.remote.throttle import seconds_to_wait

__all__ = ["Breaker", "EndpointChild", "objection_of"]

# Endpoints that one process asks at the same moment.
_THREADS = 64

_FAILURES_TO_OPEN = 3

_GRACE = 0.1

_SECONDS_OPEN = 30.0

_LATER = frozenset([408, 429, 502, 503, 504])

_CHUNK = 1 << 16

# An answer is no larger than this, and so much for each row.
_LARGEST, _LARGEST_ROW = 1 << 20, 1 << 14


class Breaker:
    """Stops asking an endpoint that keeps failing; after a while one request finds out whether it is back.

    Parameters
    ----------
    clock
        For tests.

    Examples
    --------
    >>> breaker = Breaker()
    >>> for _ in range(3):
    ...     breaker.failed()
    >>> breaker.lets_through()
    False
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = ForkLock()
        self._failures = 0
        self._closed_again = 0.0

    def lets_through(self) -> bool:
        """Whether to send a request now."""
        with self._lock:
            if self._failures < _FAILURES_TO_OPEN:
                return True
            if self._clock() < self._closed_again:
                return False
            self._closed_again = self._clock() + _SECONDS_OPEN  # others wait for what this one finds out
            return True

    def succeeded(self) -> None:
        """Note an answer."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """Note that there was none."""
        with self._lock:
            self._failures += 1
            self._closed_again = self._clock() + _SECONDS_OPEN


class _Busy(Exception):
    """The endpoint may answer if it is asked once more."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _Awaited:
    """An answer that is on its way. Whoever waits for it waits no longer than its deadline, whatever delays it."""

    def __init__(self, future: "Future[Any]", until: float, silent: str) -> None:
        self._future, self._until, self._silent = future, until, silent

    def result(self) -> Any:
        """Return what was answered, or raise what was raised."""
        try:
            # The request ends itself in time, but for names that are slow to resolve, and queues.
            return self._future.result(max(0.0, self._until - time.monotonic()) + _GRACE)
        except TimeoutError:
            self._future.cancel()
            raise ChildUnavailable(f"{self._silent}.") from None


class EndpointChild:
    """A child that answers over HTTP.

    Parameters
    ----------
    url
        Ends in ``/invocations``.
    settings
        Deadline, and which addresses may be asked.

    Raises
    ------
    ChildUnavailable
        The address may not be asked.
    """

    def __init__(self, url: str, settings: ReferenceSettings) -> None:
        if objection := settings.objection(url):
            raise ChildUnavailable(f"{redacted(url)} may not be asked: {objection}")
        self.url = url
        self._shown = redacted(url)
        self._auth = token_for(url)
        self._deadline = settings.deadline_seconds
        self._allow_private = settings.allow_private
        self._breaker = _breaker_of(url)
        self._until: float | None = None

    def submit(self, ask: "Callable[[Self], Any]") -> "_Awaited":
        """Run a question beside those to other endpoints; its deadline begins now, whenever its turn comes."""
        child = self.with_one_deadline()
        assert child._until is not None  # it has just got one
        return _Awaited(_executor().submit(ask, child), child._until, f"{self._shown} {self._silent}")

    def with_one_deadline(self) -> Self:
        """Return a copy whose questions, however many, share one deadline that begins now."""
        other = copy.copy(self)
        other._until = time.monotonic() + self._deadline
        return other

    def predict(self, x: pd.DataFrame) -> AnyArray:
        """Ask for rows.

        Raises
        ------
        ChildUnavailable
            There was no answer that can be used within the deadline, or the breaker is open.
        RowsRefused
            The server refused the rows (400): others may do better.
        """
        now = time.monotonic()
        until = now + self._deadline if self._until is None else self._until
        try:
            body = question(x)
        except ValueError as error:  # infinity
            raise RowsRefused(f"JSON cannot carry a value of the rows ({error})") from error
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Busy),
            wait=_wait,
            stop=lambda state: time.monotonic() + state.upcoming_sleep >= until,
            reraise=True,
        )
        try:
            return retrying(self._post, body, x, until)
        except _Busy as error:
            raise ChildUnavailable(f"{self._shown} {self._silent} ({error}).") from error

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Raise: MLflow's protocol has no probabilities."""
        raise ChildFailed("An endpoint gives no probabilities. Ask for predict_method='predict'.")

    @property
    def _silent(self) -> str:
        return f"gave no answer within {self._deadline:g} s"

    def _post(self, body: str, x: pd.DataFrame, until: float) -> AnyArray:
        if time.monotonic() >= until:
            raise ChildUnavailable(f"{self._shown} {self._silent}.")
        if not self._breaker.lets_through():
            raise ChildUnavailable(
                f"{self._shown} has failed {_FAILURES_TO_OPEN} times in a row "
                f"and is left alone for {_SECONDS_OPEN:g} s."
            )
        try:
            status, content, retry_after = self._answer(body, until, _LARGEST + len(x) * _LARGEST_ROW)
        except requests.exceptions.RequestException as error:
            self._breaker.failed()
            if isinstance(error, requests.exceptions.ReadTimeout) or time.monotonic() >= until:
                raise ChildUnavailable(f"{self._shown} {self._silent}.") from error
            raise _Busy(f"{type(error).__name__}") from error
        if content is None:
            self._breaker.failed()
            raise ChildUnavailable(f"{self._shown} sends an answer that does not end.")
        if status == 400:
            self._breaker.succeeded()
            raise rows_refused(self._shown, content, x)
        if status == 200:
            return self._read(content, len(x))
        # Anything else is not about the rows, so asking for half of them would not help.
        self._breaker.failed()
        if status in _LATER:
            raise _Busy(f"status {status}", retry_after)
        raise ChildUnavailable(f"{self._shown} answered with status {status}.")

    def _read(self, content: bytes, rows: int) -> AnyArray:
        try:
            values = predictions_in(content, rows)
        except ValueError as error:
            self._breaker.failed()
            raise ChildUnavailable(f"{self._shown} {error}.") from error
        self._breaker.succeeded()
        return values

    def _answer(self, body: str, until: float, largest: int) -> tuple[int, bytes | None, float]:
        """Return status, body and seconds to wait, or raise once the deadline has passed; None is too large a body."""
        seconds_left = max(0.01, until - time.monotonic())
        deadline.set(until)
        with _session(self._allow_private).post(
            self.url,
            auth=self._auth,
            data=body.encode(),
            headers={"Content-Type": "application/json"},
            timeout=(seconds_left, seconds_left),
            stream=True,
            allow_redirects=False,  # to an address that nobody has allowed
        ) as response:
            content = bytearray()
            for chunk in response.iter_content(_CHUNK):
                content += chunk
                if len(content) > largest:
                    return response.status_code, None, 0.0
            headers = response.headers
            wait = seconds_to_wait(headers.get("Retry-After"), headers.get("Date")) or 0.0
            return response.status_code, bytes(content), wait


_backoff = tenacity.wait_random_exponential(multiplier=0.1, max=5)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return float(_backoff(state)) + (error.retry_after if isinstance(error, _Busy) else 0.0)


def objection_of(url: str, settings: ReferenceSettings) -> str:
    """Ask whether an endpoint is there, and say what is wrong, or ""."""
    address, seconds = url.rstrip("/").removesuffix("/invocations") + "/ping", settings.deadline_seconds
    deadline.set(time.monotonic() + seconds)
    try:
        with _session(settings.allow_private).get(
            address, auth=token_for(address), timeout=(seconds, seconds), stream=True, allow_redirects=False
        ) as answer:
            status = answer.status_code
    except ChildUnavailable as error:
        return str(error)
    except requests.exceptions.RequestException as error:
        return f"the endpoint does not answer ({type(error).__name__})"
    return "" if status == 200 else f"the endpoint answers /ping with status {status}"


_breakers: dict[str, Breaker] = {}

_shared: dict[str, Any] = {}


def _forget() -> None:
    # Threads and connections do not survive a fork.
    _breakers.clear()
    _shared.clear()


_lock = ForkLock(_forget)


def _breaker_of(url: str) -> Breaker:
    with _lock:
        return _breakers.setdefault(url, Breaker())


def _executor() -> ThreadPoolExecutor:
    with _lock:
        if "executor" not in _shared:
            _shared["executor"] = ThreadPoolExecutor(_THREADS, thread_name_prefix="metamodel-endpoint")
        executor: ThreadPoolExecutor = _shared["executor"]
        return executor


def _session(allow_private: bool) -> requests.Session:
    name = f"session, {allow_private=}"
    with _lock:
        if name not in _shared:
            _shared[name] = open_session(_THREADS, allow_private=allow_private)
        shared: requests.Session = _shared[name]
        return shared
