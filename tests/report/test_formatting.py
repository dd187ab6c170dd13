"""Figures in the report: short, in the unit that suits, and never empty."""

import numpy as np
import pandas as pd
import pytest

from metamodel.report.formatting import duration, number, p_value, percent, size

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_what_is_missing_is_a_dash(missing: object) -> None:
    assert {show(missing) for show in (number, percent, p_value, duration)} == {"–"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3, "−3"),
        (-1234.5, "−1,234"),
        (1e20, "1e+20"),
        (0.0, "0"),
        (-np.inf, "−∞"),
        (999_999.4, "999,999"),
        (-0.5, "−0.5"),
    ],
)
def test_numbers_have_four_digits_and_a_minus_sign(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 ms"), (0.9999, "1000 ms"), (1, "1 s"), (89, "89 s"), (90, "1.5 min"), (5400, "1.5 h")]
)
def test_seconds_change_their_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999 B"), (1000, "1 kB"), (10**9, "1 GB"), (10**13, "10000 GB")])
def test_bytes_change_their_unit(value: int, text: str) -> None:
    assert size(value) == text
