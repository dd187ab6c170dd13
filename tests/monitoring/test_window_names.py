import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.monitoring.window_names import windows_of

DAYS = st.lists(st.dates(dt.date(1960, 1, 1), dt.date(2060, 1, 1)), min_size=1, max_size=30)


@given(DAYS, st.sampled_from(["1d", "1w", "2w", "12h"]))
def test_every_row_is_in_one_window_and_names_sort_in_order_of_time(days: list[dt.date], window: str) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(days)})

    windows = windows_of(frame, "day", window, [])

    assert (np.sum([rows for _, rows in windows], axis=0) == 1).all()
    names = [name for name, _ in windows]
    assert names == sorted(names)
    latest = [frame["day"][rows].max() for _, rows in windows]
    assert latest == sorted(latest)


def test_weeks_begin_on_mondays() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-11-29", "2026-11-30"])})
    assert [name for name, _ in windows_of(frame, "day", "1w", [])] == ["2026-11-23", "2026-11-30"]


def test_days_are_those_of_the_tables_own_zone() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-11-30 00:30"]).tz_localize("Europe/Berlin")})
    assert [name for name, _ in windows_of(frame, "day", "1d", [])] == ["2026-11-30"]


@pytest.mark.parametrize(
    ("times", "name"),
    [
        (pd.to_datetime(["2026-11-23", "2026-11-30"]), "2026-11-30"),
        (pd.to_datetime(["2026-11-23 07:00:01"]), "2026-11-23T070001"),
        ([7, 31], "000000000031"),
        ([7.5], "000000000007.5000"),
        ([dt.date(2026, 11, 30)], "2026-11-30"),
    ],
)
def test_without_a_length_the_latest_time_names_the_window(times: object, name: str) -> None:
    assert windows_of(pd.DataFrame({"t": times}), "t", None, [])[0][0] == name


def test_without_times_the_same_rows_get_the_same_number_again() -> None:
    first, second = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 3]})
    one = windows_of(first, None, None, [])[0][0]
    two = windows_of(second, None, None, [one])[0][0]

    assert (one[:7], two[:7]) == ("000001-", "000002-")
    assert windows_of(first.iloc[::-1], None, None, [one, two])[0][0] == one


def test_a_length_without_times_is_refused() -> None:
    with pytest.raises(InputError, match="window='1w' needs a time column"):
        windows_of(pd.DataFrame({"x": [1]}), None, "1w", [])
