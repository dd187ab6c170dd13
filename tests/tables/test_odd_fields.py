"""Columns that would be numbers but for a few odd fields."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.tables.odd_fields import OddFields, without_odd_fields

pytestmark = pytest.mark.tableless

NUMBERS = [f"{i * 1.5 - 20:.2f}" for i in range(300)]


def read(values, **options):
    frame = pd.DataFrame({"size": pd.Series(values, **options), "other": "a"})
    converted, odd, rows = without_odd_fields(frame, ["size", "other"])
    return converted["size"], odd, rows


@pytest.mark.parametrize("dtype", [object, "str"])
@pytest.mark.parametrize("as_numbers", [False, True])
def test_a_few_odd_fields_become_nulls_among_numbers(dtype, as_numbers):
    values = [float(text) if as_numbers and dtype is object else text for text in NUMBERS]
    values[7], values[11] = "-", "n.a."
    column, odd, rows = read(values, dtype=dtype)
    assert odd == [OddFields("size", ("-", "n.a."), 2, 300)]
    assert np.flatnonzero(rows).tolist() == np.flatnonzero(column.isna()).tolist() == [7, 11]
    others = [i for i in range(300) if i not in (7, 11)]
    assert column[others].tolist() == [float(NUMBERS[i]) for i in others]


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        [*NUMBERS[:280], *["-"] * 20],
        [*NUMBERS[:290], *(f"odd {i}" for i in range(10))] * 4,
        ["007", "-", *NUMBERS],
        ["1,200", "-", *NUMBERS, "30%", "1,000", "2,000", "3,000", "4,000"],
        [*NUMBERS, pd.Timestamp("2024-01-01")],
        [*NUMBERS[:10], "-"],
        ["red", "blue"] * 100,
        [None] * 50,
    ],
    ids=["texts", "many odd", "different odd", "codes", "thousands", "dates", "few", "words", "nulls"],
)
def test_what_may_be_meant_as_text_is_left_alone(values):
    column, odd, rows = read(values, dtype=object)
    assert odd == []
    assert not rows.any()
    assert column.tolist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=150, max_size=200), st.sampled_from("-?x"))
def test_numbers_are_read_to_the_last_bit(numbers, odd_text):
    column, odd, _ = read([repr(number) for number in numbers] + [odd_text], dtype=object)
    assert odd[0].texts == (odd_text,)
    assert column.tolist()[:-1] == numbers
