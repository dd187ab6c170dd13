"""Work of another thread: in order, awaited, and its errors are raised where it was asked for."""

import threading

import pytest

from metamodel.common.background import Background


def test_everything_is_done_in_order_when_the_with_ends() -> None:
    done: list[object] = []
    with Background() as background:
        for number in range(20):
            background.run(done.append, number)
        background.run(lambda: done.append(threading.current_thread() is not threading.main_thread()))
    assert done == [*range(20), True]


def test_an_error_is_raised_by_wait_and_once() -> None:
    with Background() as background:
        background.run("no number".encode, "no encoding")
        with pytest.raises(LookupError, match="no encoding"):
            background.wait()
        background.wait()


def test_an_error_that_nobody_waited_for_is_raised_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError, match="division"), Background() as background:
        background.run(divmod, 1, 0)


def test_after_an_error_of_this_thread_nothing_more_is_begun() -> None:
    may_end, done = threading.Event(), list[int]()

    def fail(background: Background) -> None:
        with background:
            background.run(may_end.wait, 60)
            background.run(done.append, 1)
            background._begun[-1].add_done_callback(lambda cancelled: may_end.set())
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail(Background())
    assert not done
