"""A time limit in this thread: it ends the work, and leaves nothing behind."""

import contextlib
import sys
import threading
import warnings
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import sklearn
from ignored_errors import busy, in_a_callback_of_the_collector, in_a_finalizer

from metamodel.common.time_limit import TimeLimitReached, losses_told, time_limit


def test_a_time_limit_that_is_not_reached_leaves_no_timer_behind() -> None:
    with time_limit(600):
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    for one in timers:
        one.join(timeout=200)
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


def in_a_callback_of_a_weak_reference() -> None:
    class Referred:
        pass

    thing = Referred()
    _ = weakref.ref(thing, lambda _: busy())
    del thing


@pytest.mark.parametrize("lost", [in_a_finalizer, in_a_callback_of_the_collector, in_a_callback_of_a_weak_reference])
def test_a_limit_that_strikes_where_errors_are_ignored_strikes_again(lost: Callable[[], None]) -> None:
    def work() -> None:
        with time_limit(0.05):
            lost()
            endless_work()

    with pytest.raises(TimeLimitReached, match=r"^$"):
        work()


def test_a_limit_that_was_lost_at_the_very_end_strikes_nobody_behind_it() -> None:
    # On a busy machine it may strike before the finalizer, and its second stroke find the block still there.
    with contextlib.suppress(TimeLimitReached), time_limit(0.05):
        in_a_finalizer()
    busy()
    assert not any(isinstance(one, threading.Timer) for one in threading.enumerate())


def test_other_errors_that_are_ignored_are_told_to_whom_they_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __del__(self) -> None:
            raise ValueError("odd")

    told, lost = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))
    with losses_told(TimeLimitReached, lambda: lost.append(1)):
        Odd()
    assert (told, lost) == ([ValueError], [])


def test_losses_are_told_to_the_innermost_block_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Struck:
        def __del__(self) -> None:
            raise TimeLimitReached

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append("nobody"))
    with losses_told(TimeLimitReached, lambda: told.append("outer")):
        with losses_told(TimeLimitReached, lambda: told.append("inner")):
            Struck()
        Struck()
        elsewhere = threading.Thread(target=Struck)
        elsewhere.start()
        elsewhere.join()
    Struck()
    assert told == ["inner", "outer", "nobody", "nobody"]
