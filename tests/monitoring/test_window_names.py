import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.monitoring.window_names import WindowNaming, windows_of

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
        (["2026-11-23", "2026-11-30"], "2026-11-30"),  # as a CSV file has it
        (["2026-11-30", dt.date(2026, 12, 1)], "2026-12-01"),
        (["9/28/2026", "10/2/2026"], "2026-10-02"),
        (["2026-11-30T23:00:00-02:00"], "2026-12-01T010000"),
        (["2026-11-30", None], "2026-11-30"),
        ([7, None], "000000000007"),
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


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.integers(1, 20))
def test_rows_in_parts_get_the_name_of_all_together_however_their_numbers_are_held(numbers: list, size: int) -> None:
    table = pd.DataFrame({"x": numbers, "text": ["a"] * len(numbers)})
    naming, kinds = WindowNaming(None), (np.int64, "Int64", np.float64)
    for place, start in enumerate(range(0, len(table), size)):
        naming.see(table.iloc[start : start + size].astype({"x": kinds[place % 3]}))
    assert naming.name([]) == windows_of(table, None, None, [])[0][0]
    other = table.assign(x=table["x"] + 0.5)
    assert naming.name([]) != windows_of(other, None, None, [])[0][0]


def test_a_length_without_times_is_refused() -> None:
    with pytest.raises(InputError, match="window='1w' needs a time column"):
        windows_of(pd.DataFrame({"x": [1]}), None, "1w", [])


def test_times_from_a_csv_file_are_cut_as_those_of_a_table_of_dates() -> None:
    days = pd.DataFrame({"day": pd.date_range("2026-11-20", periods=20)})
    texts = days.astype(str)
    assert [name for name, _ in windows_of(texts, "day", "1w", [])] == [
        "2026-11-16",
        "2026-11-23",
        "2026-11-30",
        "2026-12-07",
    ]
    for (_, of_texts), (_, of_days) in zip(
        windows_of(texts, "day", "1w", []), windows_of(days, "day", "1w", []), strict=True
    ):
        np.testing.assert_array_equal(of_texts, of_days)


@pytest.mark.parametrize("window", [None, "1w"])
def test_what_is_no_time_is_told(window: str | None) -> None:
    with pytest.raises(InputError, match=r"'day' has 1 value missing or no time \(first: 'soon'\)"):
        windows_of(pd.DataFrame({"day": ["2026-11-20", "soon"]}), "day", window, [])


def test_a_row_without_a_time_is_not_left_out_of_all_windows() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-11-20", None])})
    with pytest.raises(InputError, match="'day' has 1 value missing or no time"):
        windows_of(frame, "day", "1w", [])


def test_where_all_times_are_missing_the_rows_name_the_window() -> None:
    first, second = (pd.DataFrame({"day": pd.to_datetime([None, None]), "x": [1, x]}) for x in (2, 3))
    ((name, _),) = windows_of(first, "day", None, [])
    assert name.startswith("000001-")
    assert windows_of(first, "day", None, [name])[0][0] == name
    assert windows_of(second, "day", None, [name])[0][0].startswith("000002-")
