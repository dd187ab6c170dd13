"""Children are loaded before they are asked for, only so many, and none after the last was asked for."""

import threading
from collections import Counter

import pytest

from metamodel.bundle.prefetch import look_ahead

pytestmark = pytest.mark.tableless

KEYS = [(i,) for i in range(20)]


def test_every_key_is_loaded_once_and_comes_as_it_was_loaded() -> None:
    loaded: Counter[tuple] = Counter()
    lock = threading.Lock()

    def load(key: tuple) -> str:
        with lock:
            loaded[key] += 1
        return f"child {key[0]}"

    with look_ahead(load, KEYS, threads=3) as ahead:
        assert [ahead(key) for key in KEYS] == [f"child {i}" for i in range(20)]
    assert loaded == Counter(KEYS)


def test_the_next_ones_are_on_their_way_while_the_first_is_waited_for() -> None:
    together = threading.Barrier(3)

    def load(key: tuple) -> tuple:
        if key[0] < 3:
            together.wait(100)  # breaks where they do not load side by side
        return key

    with look_ahead(load, KEYS, threads=3) as ahead:
        assert ahead((0,)) == (0,)
    assert not together.broken


def test_at_most_twice_as_many_as_threads_wait_to_be_asked_for() -> None:
    begun: list[tuple] = []

    def load(key: tuple) -> tuple:
        begun.append(key)
        return key

    with look_ahead(load, KEYS, threads=2) as ahead:
        ahead((0,))
    assert set(begun) <= set(KEYS[:4])


def test_a_key_that_was_not_announced_is_loaded_all_the_same() -> None:
    with look_ahead(lambda key: key, [], threads=1) as ahead:
        assert ahead(("surprise",)) == ("surprise",)


def test_an_error_comes_where_its_key_is_asked_for_and_nowhere_else() -> None:
    def load(key: tuple) -> tuple:
        if key == (1,):
            raise ValueError("damaged")
        return key

    with look_ahead(load, KEYS[:3], threads=2) as ahead:
        assert ahead((0,)) == (0,)
        with pytest.raises(ValueError, match="damaged"):
            ahead((1,))
        assert ahead((2,)) == (2,)
