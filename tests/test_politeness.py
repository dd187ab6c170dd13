"""Turns, first delays, and what is tried again; the clock is the test's own."""

import email.utils
import time
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.fetching import politeness
from metamodel.fetching.politeness import Courtesy, RateLimiter, courtesy_for, first_delay, workers
from metamodel.keys import encode_key


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter(rate: float) -> tuple[RateLimiter, Clock]:
    clock = Clock()
    return RateLimiter(rate, clock, clock.sleep), clock


@given(st.floats(0.5, 200), st.lists(st.floats(0, 0.5), min_size=1, max_size=30))
def test_no_two_turns_are_closer_than_the_interval(rate: float, pauses: list[float]) -> None:
    turns, (limits, clock) = [], limiter(rate)
    for pause in pauses:
        clock.sleep(pause)
        limits.wait("key")
        turns.append(clock.now)
    assert np.all(np.diff(turns) >= 1 / rate - 1e-9)


def test_a_pause_holds_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, clock = limiter(100)
    limits.wait()
    limits.pause(3)
    limits.wait()
    assert clock.now >= 3


def test_fifty_workers_that_start_together_do_not_arrive_together() -> None:
    # Twenty requests a second for all of them: each has 0.4 a second, so the first requests spread over 2.5 seconds.
    interval = 50 / 20
    arrivals = np.array([first_delay(encode_key((worker,)), interval) for worker in range(50)])
    per_second = np.histogram(arrivals, bins=[0, 1, 2, 3])[0]
    assert per_second.max() < 30  # instead of all 50; 20 on average
    assert np.histogram(arrivals, bins=np.arange(0, 2.6, 0.1))[0].max() <= 6


def test_the_first_delay_is_the_same_in_every_process() -> None:
    assert first_delay('["FR",7]', 1.0) == pytest.approx(0.8889288474163505)


def test_workers_share_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(politeness, "_limiters", {})
    assert courtesy_for("server", 20, 1).limiter.interval == pytest.approx(0.05)
    monkeypatch.setenv("METAMODEL_FETCH_WORKERS", "4")
    assert courtesy_for("server", 20, 1).limiter.interval == pytest.approx(0.2)
    assert courtesy_for("server", 20, 9).limiter is courtesy_for("server", 20, 1).limiter


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


def _courtesy(patience: float = 60) -> Courtesy:
    return Courtesy(RateLimiter(1000), patience)


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
    assert _courtesy().call("key", flaky) == "answer"
    assert flaky.calls == 3


@pytest.mark.usefixtures("no_waiting")
def test_what_will_not_change_is_raised_at_once() -> None:
    flaky = Flaky(MlflowException("RESOURCE_DOES_NOT_EXIST"))
    with pytest.raises(MlflowException, match="RESOURCE_DOES_NOT_EXIST"):
        _courtesy().call("key", flaky)
    assert flaky.calls == 1


@pytest.mark.usefixtures("no_waiting")
def test_a_call_inside_a_call_ends_too() -> None:
    refused = MlflowException("503")

    def inner() -> str:
        call = politeness.current.get()
        assert call is not None
        call.status = 503  # type: ignore[attr-defined]
        raise refused

    with pytest.raises(MlflowException, match="503"):
        _courtesy(0.1).call("outer", lambda: _courtesy(0.1).call("inner", inner))


def test_a_server_that_does_not_answer_is_left_alone_for_a_while() -> None:
    courtesy = _courtesy(patience=0.01)
    flaky = Flaky(*[requests.exceptions.ConnectionError("refused")] * 1000)
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        courtesy.call("key", flaky)
    calls = flaky.calls
    with pytest.raises(ChildUnavailable, match="a moment ago"):
        courtesy.call("key", flaky)
    assert flaky.calls == calls


@pytest.mark.parametrize(("header", "expected"), [("3", 3.0), ("0.5", 0.5), ("", None), (None, None), ("soon", None)])
def test_a_retry_after_in_seconds_is_read(header: Any, expected: Any) -> None:
    assert politeness._seconds(header) == expected


def test_a_retry_after_with_a_date_is_read() -> None:
    header = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert politeness._seconds(header) == pytest.approx(100, abs=5)


def test_nobody_waits_longer_than_the_patience_for_a_server_that_asks_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    courtesy = Courtesy(RateLimiter(1000, sleep=slept.append), patience=120)

    def refused() -> None:
        call = politeness.current.get()
        assert call is not None
        call.status, call.retry_after = 429, 3600.0
        raise MlflowException("429")

    with pytest.raises(MlflowException, match="429"):
        courtesy.call("key", refused)
    courtesy.limiter.wait()
    assert sum(slept) < 1


def test_a_pause_of_others_is_not_waited_for_longer_than_the_patience() -> None:
    limits, clock = limiter(100)
    limits.pause(60)
    with pytest.raises(ChildUnavailable, match="left alone for 60 s more"):
        limits.wait("key", longest=10)
    assert clock.now == 0


def test_the_brief_stop_only_the_brief() -> None:
    limits, clock = limiter(100)
    limits.give_up(2)
    assert (limits.given_up(2), limits.given_up(120)) == (True, False)
    limits.give_up(120)
    limits.give_up(2)
    assert limits.given_up(120)
    clock.sleep(31)
    assert not limits.given_up(2)
