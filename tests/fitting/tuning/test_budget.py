"""How time is shared out, told by a clock that the test turns; and the alarm."""

import contextlib
import math
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ignored_errors import in_a_callback_of_the_collector, in_a_finalizer

from metamodel.fitting.tuning import Pace, alarm, ends_of_budget, phase_end
from metamodel.fitting.tuning.budget import OutOfTime

pytestmark = pytest.mark.tableless


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_without_a_budget_nothing_ends():
    assert Pace([1, 2], ends_of_budget(0.0, None, stack=True)[0]).next(0) == (math.inf, math.inf)
    assert phase_end([[1], [2]], 2, now=5.0, end=math.inf) == math.inf


def test_nothing_to_fit_takes_no_time():
    assert phase_end([[], []], 2, now=5.0, end=60.0) == 60.0


@given(
    st.lists(st.floats(1, 1000), min_size=1, max_size=20),
    st.floats(0.0, 0.002),
    st.floats(1.0, 100.0),
    st.randoms(),
)
def test_groups_that_use_up_to_their_share_end_in_time(costs, rate, budget, random):
    clock = Clock()
    pace = Pace(costs, budget, clock=clock)
    for i, cost in enumerate(costs):
        until, latest = pace.next(i)
        assert until <= latest * 1.0001
        clock.now += random.random() * max(0.0, until - clock.now - rate * cost) + rate * cost
        pace.done(i, rate * cost)
    # What cannot be helped: the fits themselves, if they alone take longer.
    assert clock.now <= max(budget, rate * sum(costs)) * 1.0001


def test_time_that_a_group_leaves_goes_to_those_behind_it():
    clock = Clock()
    pace = Pace([1, 1, 1, 1], 40.0, first=7, clock=clock)
    assert pace.next(7)[0] == 10.0
    pace.done(7, 0.0)
    pace.done(7, 0.0)
    assert pace.next(8)[0] == pytest.approx(40 / 3)


def test_fits_without_a_search_keep_their_time():
    clock = Clock()
    pace = Pace([1, 1, 1, 1], 40.0, clock=clock)
    pace.next(0)
    clock.now = 10.0
    pace.done(0, 5.0)
    until, latest = pace.next(1)
    assert latest == 40 - 2 * 5
    assert until == pytest.approx(10 + (latest - 10) / 3)


def test_alarm_ends_a_block_and_leaves_the_signal_as_it_was():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime), alarm(0.05):
        time.sleep(10)
    assert signal.getsignal(signal.SIGALRM) is before


def change_settings_and_work():
    np.seterr(over="ignore")
    while True:
        pass


def test_alarm_puts_back_the_settings_that_an_interrupted_trial_had_changed():
    before = np.geterr()
    with pytest.raises(OutOfTime, match=r"^$"), alarm(0.01):
        change_settings_and_work()
    assert np.geterr() == before


def test_alarm_sets_somebody_elses_alarm_again():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    others = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with alarm(500):
            pass
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *others)
    assert 900 < left <= 1000
    assert not rung


def test_alarm_outside_the_main_thread_waits():
    done = []

    def work():
        with alarm(0.01):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize(
    "lost", [in_a_callback_of_the_collector, in_a_finalizer], ids=["the collector's callback", "a finalizer"]
)
def test_an_alarm_where_errors_are_ignored_rings_again(lost):
    # What is raised there is ignored (and pytest fails a test in which that happens): the alarm would be lost.
    def work() -> None:
        with alarm(0.05):
            lost()
            threading.Event().wait(60)

    with pytest.raises(OutOfTime):
        work()


def test_an_alarm_that_was_lost_at_the_very_end_does_not_ring_behind_the_block():
    before = signal.getsignal(signal.SIGALRM)
    rung = []
    signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        with contextlib.suppress(OutOfTime), alarm(0.05):  # should the second ring find the block still there
            in_a_finalizer()
        time.sleep(0.1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not rung
