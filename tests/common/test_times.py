"""Lengths of time as people write them, and points of a time column that are read back as they were."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.common.times import duration_text, microseconds_in, time_number, time_text
from metamodel.exceptions import InputError

HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("written", "expected"),
    [("8w", 8 * 7 * 24 * HOUR), ("1.5 d", 36 * HOUR), (dt.timedelta(hours=2), 2 * HOUR), (None, None), ("", None)],
)
def test_a_length_of_time_is_read(written: object, expected: int | None) -> None:
    assert microseconds_in(written, "max_age") == expected


@pytest.mark.parametrize("written", ["8", "soon", "-1d", "0h", 8, True, dt.timedelta(0)])
def test_what_is_no_length_of_time_is_refused_by_its_option(written: object) -> None:
    with pytest.raises(InputError, match=r'max_age=.* is no length of time. Give one such as "8w"'):
        microseconds_in(written, "max_age")


@pytest.mark.parametrize(("length", "text"), [(13 * 24, "13 days"), (15 * 24, "2 weeks"), (3, "3 hours")])
def test_a_length_is_told_in_the_longest_unit_that_it_holds_twice(length: int, text: str) -> None:
    assert duration_text(length * HOUR) == text


@given(st.integers(-(10**17), 10**17))
def test_a_point_of_the_calendar_is_read_back(point: int) -> None:
    assert time_number(time_text(np.int64(point))) == point


@given(st.floats(allow_nan=False))
def test_a_number_of_a_time_column_is_read_back(point: float) -> None:
    assert time_number(time_text(point)) == point
