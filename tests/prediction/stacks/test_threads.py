"""A large batch is shared out to threads in ranges that make up all rows, and no error of a thread is lost."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction.stacks.threads import on_ranges

pytestmark = pytest.mark.tableless


def ranges_of(n_rows):
    """Ranges that a batch is cut into, with the thread that had each."""
    seen = []
    on_ranges(lambda start, stop: seen.append((start, stop, threading.current_thread().name)), n_rows)
    return sorted(seen)


@pytest.fixture
def _eight_cores(monkeypatch):
    monkeypatch.setattr("metamodel.prediction.stacks.threads._cores", lambda: 8)


@pytest.mark.usefixtures("_eight_cores")
@given(st.integers(0, 2_000_000))
def test_ranges_make_up_all_rows_each_once(n_rows):
    starts, stops, _ = zip(*ranges_of(n_rows), strict=True)
    assert (starts[0], stops[-1]) == (0, n_rows)
    assert starts[1:] == stops[:-1]


@pytest.mark.usefixtures("_eight_cores")
@pytest.mark.parametrize(
    ("n_rows", "parts"), [(0, 1), (199_999, 1), (200_000, 2), (399_999, 3), (400_000, 4), (9_000_000, 4)]
)
def test_a_thread_has_enough_rows_to_be_worth_its_start_and_there_are_few(n_rows, parts):
    assert len(ranges_of(n_rows)) == parts


def test_a_small_batch_stays_in_the_callers_thread():
    assert ranges_of(1000) == [(0, 1000, threading.current_thread().name)]


def test_on_one_core_there_is_one_range(monkeypatch):
    monkeypatch.setattr("metamodel.prediction.stacks.threads._cores", lambda: 1)
    assert ranges_of(9_000_000) == [(0, 9_000_000, threading.current_thread().name)]


@pytest.mark.usefixtures("_eight_cores")
def test_several_ranges_are_at_work_at_once():
    together = threading.Barrier(4, timeout=200)
    squares = np.zeros(400_000)

    def work(start, stop):
        together.wait()  # broken unless all four are there
        squares[start:stop] = np.arange(start, stop) ** 2

    on_ranges(work, 400_000)
    assert squares.tolist() == (np.arange(400_000) ** 2).tolist()


@pytest.mark.usefixtures("_eight_cores")
@pytest.mark.parametrize("n_rows", [10, 400_000])
def test_what_a_range_raises_is_raised(n_rows):
    def work(start, stop):
        if stop == n_rows:
            raise OverflowError("the last range")

    with pytest.raises(OverflowError, match="the last range"):
        on_ranges(work, n_rows)
