"""Values of group columns: brought to their kind without loss, or none."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import KeyColumn


def column(kind, **options):
    return KeyColumn("store", kind, **options)


def typed(key):
    """A form in which 1, True and 1.0 differ, as groups do."""
    return [(type(value), value, getattr(value, "tzinfo", None) is None) for value in key]


@pytest.mark.parametrize(
    "value",
    [7, np.int8(7), np.int64(7), np.uint64(7), 7.0, np.float32(7), Decimal(7), Decimal("7.00"), pd.array([7])[0]],
    ids=lambda value: type(value).__name__,
)
def test_every_whole_number_names_the_integer_group(value):
    assert typed([column("integer").canonical(value)]) == typed([7])


@pytest.mark.parametrize(
    "value",
    [7.5, "7", True, np.True_, Decimal("7.5"), float("inf"), Decimal("inf"), b"7", 7 + 0j, [7], dt.date(2026, 1, 7)],
    ids=repr,
)
def test_nothing_else_names_an_integer_group(value):
    with pytest.raises(
        InvalidKey, match=r"Group column 'store' holds integers; .* is none. Send the value in the kind"
    ):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, float(2**53 - 1)])
def test_floats_below_two_to_the_53_count_as_integers(value):
    assert column("integer").canonical(float(value)) == int(value)


@pytest.mark.parametrize("value", [float(2**53), float(-(2**53)), 1e300, np.float64(2**60)])
def test_floats_that_may_have_been_another_integer_are_none(value):
    with pytest.raises(InvalidKey, match="holds integers; the float"):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, -(2**63), Decimal(2**53 + 1)])
def test_big_integers_are_kept_exactly(value):
    assert column("integer").canonical(value) == int(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, np.uint64(2**63), Decimal("1e400000")])
def test_numbers_beyond_64_bits_are_none(value):
    with pytest.raises(InvalidKey, match="holds integers"):
        column("integer").canonical(value)


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT, Decimal("NaN")], ids=repr)
@pytest.mark.parametrize("kind", ["string", "integer", "boolean", "date", "timestamp"])
def test_every_null_is_none(kind, value):
    assert column(kind).canonical(value) is None


@pytest.mark.parametrize(
    ("kind", "value", "canonical"),
    [("integer", "7", 7), ("integer", "-07", -7), ("boolean", "True", True), ("boolean", "false", False)],
)
def test_text_names_numbers_and_booleans_where_the_schema_says_so(kind, value, canonical):
    assert typed([column(kind, from_text=True).canonical(value)]) == typed([canonical])


@pytest.mark.parametrize("value", ["7.0", "7 ", "seven", "", "\N{ARABIC-INDIC DIGIT SEVEN}", "9" * 30])
def test_text_that_is_no_plain_integer_is_none_all_the_same(value):
    with pytest.raises(InvalidKey, match="holds integers; the str"):
        column("integer", from_text=True).canonical(value)


@pytest.mark.parametrize("value", [1, 0, 1.0, "true", "1"])
def test_only_booleans_name_a_boolean_group(value):
    with pytest.raises(InvalidKey, match="holds booleans"):
        column("boolean").canonical(value)


@pytest.mark.parametrize("value", [7, True, b"FR", dt.date(2026, 1, 1)])
def test_only_text_names_a_string_group(value):
    with pytest.raises(InvalidKey, match="holds strings"):
        column("string").canonical(value)


def test_text_that_utf8_cannot_hold_is_none():
    with pytest.raises(InvalidKey, match=r"holds strings; the str .*ud800"):
        column("string").canonical("\ud800")


def test_a_numpy_string_becomes_a_plain_one():
    assert type(column("string").canonical(np.str_("FR"))) is str


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2026, 1, 31),
        dt.datetime(2026, 1, 31),
        pd.Timestamp("2026-01-31"),
        np.datetime64("2026-01-31"),
        np.datetime64("2026-01-31T00:00:00", "ns"),
        "2026-01-31",
    ],
    ids=repr,
)
def test_every_midnight_names_the_date(value):
    assert typed([column("date").canonical(value)]) == typed([dt.date(2026, 1, 31)])


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 1, 31, 12),
        pd.Timestamp("2026-01-31", tz="UTC"),
        pd.Timestamp("2026-01-31") + pd.Timedelta(1, "ns"),
        np.datetime64("300000-01-01"),
        "2026-02-31",
        "31.01.2026",
        "20260131",
        20260131,
    ],
    ids=repr,
)
def test_a_time_of_day_or_another_spelling_is_no_date(value):
    with pytest.raises(InvalidKey, match="holds dates"):
        column("date").canonical(value)


@pytest.mark.parametrize(
    "value",
    ["2026-01-31T12:00:00Z", "2026-01-31 13:00:00+01:00", pd.Timestamp("2026-01-31 07:00", tz="America/New_York")],
)
def test_moments_with_a_zone_are_kept_in_utc(value):
    canonical = column("timestamp", utc=True).canonical(value)
    assert (canonical, str(canonical.tz)) == (pd.Timestamp("2026-01-31 12:00", tz="UTC"), "UTC")


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("2026-01-31T12:00:00", True),
        ("2026-01-31T12:00:00Z", False),
        ("yesterday", False),
        ("2026-13-01", False),
        (np.datetime64("300000-01-01"), False),
        (20260131, False),
    ],
)
def test_a_moment_of_the_other_kind_is_none(value, utc):
    with pytest.raises(InvalidKey, match="holds timestamps"):
        column("timestamp", utc=utc).canonical(value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InvalidKey, match=r"^.{0,300}$"):
        column("integer").canonical("x" * 10_000)
