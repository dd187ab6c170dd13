"""What is tried again, for how long, and whom that concerns; the clock is the test's own."""

import email.utils
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from clocks import Clock
from mlflow.exceptions import MlflowException

from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.flavor.remote import throttle as throttling
from metamodel.flavor.remote.rate_limit import MachineTurns, RateLimiter
from metamodel.flavor.remote.throttle import Throttle, throttle_for, workers

pytestmark = pytest.mark.tableless


def test_workers_share_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_limiters", {})
    assert throttle_for("server", 20, 1).limiter.interval == pytest.approx(0.05)
    monkeypatch.setenv("METAMODEL_FETCH_WORKERS", "4")
    assert throttle_for("server", 20, 1).limiter.interval == pytest.approx(0.2)
    assert throttle_for("server", 20, 9).limiter is throttle_for("server", 20, 1).limiter


@pytest.mark.parametrize("text", ["0", "many", "-2", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAMODEL_FETCH_WORKERS", text)
    with pytest.raises(InputError, match="no number of processes"):
        workers()


class Flaky:
    """Fails some times before it answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def _throttle(patience: float = 60) -> Throttle:
    return Throttle(RateLimiter(1000), patience)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)


def _wrapped(error: Exception) -> MlflowException:
    """What MLflow makes of an error of requests."""
    try:
        try:
            raise error
        except Exception as cause:  # noqa: BLE001
            raise MlflowException(f"API request failed with exception {cause}")  # noqa: B904
    except MlflowException as wrapped:
        return wrapped


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ChunkedEncodingError("Connection broken: IncompleteRead"),
        requests.exceptions.ConnectionError("refused"),
        _wrapped(requests.exceptions.ReadTimeout("slow")),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    flaky = Flaky(error, error)
    assert _throttle().call("key", flaky) == "answer"
    assert flaky.calls == 3


@pytest.mark.usefixtures("no_waiting")
def test_what_will_not_change_is_raised_at_once() -> None:
    flaky = Flaky(MlflowException("RESOURCE_DOES_NOT_EXIST"))
    with pytest.raises(MlflowException, match="RESOURCE_DOES_NOT_EXIST"):
        _throttle().call("key", flaky)
    assert flaky.calls == 1


@pytest.mark.usefixtures("no_waiting")
def test_a_call_inside_a_call_ends_too() -> None:
    refused = MlflowException("503")

    def inner() -> str:
        call = throttling.current.get()
        assert call is not None
        call.status = 503  # type: ignore[attr-defined]
        raise refused

    with pytest.raises(MlflowException, match="503"):
        _throttle(0.1).call("outer", lambda: _throttle(0.1).call("inner", inner))


def test_a_server_that_does_not_answer_is_left_alone_for_a_while() -> None:
    throttle = _throttle(patience=0.01)
    flaky = Flaky(*[requests.exceptions.ConnectionError("refused")] * 1000)
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        throttle.call("key", flaky)
    calls = flaky.calls
    with pytest.raises(ChildUnavailable, match="a moment ago"):
        throttle.call("key", flaky)
    assert flaky.calls == calls


@pytest.mark.parametrize(("header", "expected"), [("3", 3.0), ("0.5", 0.5), ("", None), (None, None), ("soon", None)])
def test_a_retry_after_in_seconds_is_read(header: Any, expected: Any) -> None:
    assert throttling.seconds_to_wait(header) == expected


def test_a_retry_after_with_a_date_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    header = email.utils.formatdate(now + 100, usegmt=True)
    assert throttling.seconds_to_wait(header) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("hours", [-10.0, -1 / 6, 1 / 6, 10.0])
def test_a_clock_that_was_set_does_not_change_how_long_a_server_wants_to_be_left_alone(
    hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    until, sent = (email.utils.formatdate(moment, usegmt=True) for moment in (now + 100, now))
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    assert throttling.seconds_to_wait(until, sent) == 100
    assert throttling.seconds_to_wait(until, "some day") == pytest.approx(max(0, 100 - 3600 * hours), abs=2)


def test_nobody_waits_longer_than_the_patience_for_a_server_that_asks_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    throttle = Throttle(RateLimiter(1000, sleep=slept.append), patience=120)

    def refused() -> None:
        call = throttling.current.get()
        assert call is not None
        call.status, call.retry_after = 429, 3600.0  # type: ignore[attr-defined]
        raise MlflowException("429")

    with pytest.raises(MlflowException, match="429"):
        throttle.call("key", refused)
    throttle.limiter.wait()
    assert sum(slept) < 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes when somebody sleeps: a busy machine would take some of the patience."""
    clock = Clock()
    monkeypatch.setattr(throttling, "time", SimpleNamespace(monotonic=clock))
    return clock


def test_the_own_pace_takes_nothing_from_the_patience(tmp_path: Path, clock: Clock) -> None:
    machine = MachineTurns(tmp_path, "server", 20, clock)
    patience = 0.05  # a tenth of the first wait, or less
    throttle = Throttle(RateLimiter(20 / 4, clock, clock.sleep, machine), patience)

    def ask_twice() -> str:
        call = throttling.current.get()
        assert call is not None
        for _ in range(2):
            call.send(requests.Response, "GET", "url")
            assert call.patience.left == pytest.approx(patience)  # type: ignore[attr-defined]
        return "place"

    assert [throttle.call("key", ask_twice) for _ in range(2)] == ["place"] * 2
    assert clock.now > 3 * 0.2


def test_a_call_that_was_answered_slowly_waits_for_its_next_turn(tmp_path: Path, clock: Clock) -> None:
    machine, others = (MachineTurns(tmp_path, "server", 20, clock) for _ in range(2))
    throttle = Throttle(RateLimiter(20, clock, clock.sleep, machine), patience=2)
    waited = []

    def slowly() -> requests.Response:
        clock.sleep(5)
        assert others.take(longest=0) == 0
        return requests.Response()

    def ask_twice() -> str:
        call = throttling.current.get()
        assert call is not None
        call.send(slowly, "GET", "url")
        answered = clock.now
        call.send(lambda: (waited.append(clock.now - answered), requests.Response())[1], "GET", "url")
        return "place"

    assert throttle.call("key", ask_twice) == "place"
    assert waited == [pytest.approx(1 / 20)]  # behind the other process, though the patience is used up


def test_another_child_of_the_same_group_is_not_left_alone() -> None:
    throttle = _throttle(patience=0.01)

    def broken() -> None:
        throttle.limiter.answered()  # to another thread
        raise requests.exceptions.ConnectionError("refused")

    for match in ("refused", "a moment ago"):
        with pytest.raises((requests.exceptions.ConnectionError, ChildUnavailable), match=match):
            throttle.call("key", broken, "one place")
    assert throttle.call("key", lambda: "child", "another") == "child"
