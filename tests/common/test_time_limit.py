"""A time limit in this thread: it ends the work, and leaves nothing behind."""

import threading
import warnings

import numpy as np
import pytest
import sklearn

from metamodel.common.time_limit import TimeLimitReached, time_limit


def test_a_time_limit_that_is_not_reached_leaves_no_timer_behind() -> None:
    with time_limit(600):
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    for one in timers:
        one.join(timeout=60)
    assert timers
    assert not any(one.is_alive() for one in timers)


def endless_work() -> None:
    while True:
        pass


def test_the_limit_of_one_piece_of_work_does_not_reach_the_next() -> None:
    for _ in range(20):
        with pytest.raises(TimeLimitReached, match=r"^$"), time_limit(0.001):
            endless_work()
        sum(range(10_000))


def change_settings_and_work() -> None:
    np.seterr(all="ignore")
    sklearn.set_config(assume_finite=True)
    warnings.catch_warnings(record=True).__enter__()  # interrupted before its block began
    warnings.simplefilter("ignore")
    endless_work()


def test_settings_that_interrupted_work_had_changed_are_put_back() -> None:
    before = np.geterr(), sklearn.get_config(), warnings.showwarning, list(warnings.filters)
    with pytest.raises(TimeLimitReached, match=r"^$"), time_limit(0.01):
        change_settings_and_work()
    assert (np.geterr(), sklearn.get_config(), warnings.showwarning, list(warnings.filters)) == before
