"""Conditions, changes and bounds as rules write them."""

import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_conditions import parse_bound, parse_change, parse_condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">= 1", [False, True, True, False]),
        ("<1", [True, False, False, False]),
        ("!= 2", [True, True, False, False]),
        (1, [False, True, False, False]),
        ([0, 2], [True, False, True, False]),
        ("not null", [True, True, True, False]),
    ],
)
def test_a_condition_holds_for_these_values_and_never_for_a_missing_one(text: object, expected: list[bool]) -> None:
    assert parse_condition(text).holds(pd.Series([0.0, 1.0, 2.0, None])).tolist() == expected


def test_texts_are_compared_with_texts() -> None:
    values = pd.Series(["FR", "DE", None])
    assert parse_condition("FR").holds(values).tolist() == [True, False, False]
    assert parse_condition("!= 'FR'").holds(values).tolist() == [False, True, False]


def test_a_condition_without_order_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"'>= 3' compares 3\.0 with values of 'country', which are of another kind"):
        parse_condition(">= 3").holds(pd.Series(["FR", "DE"], name="country"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+10%", [11, 22]), ("-50%", [5, 10]), ("+3", [13, 23]), ("-3", [7, 17]), ("*2", [20, 40]), (7, [7, 7])],
)
def test_a_change_of_numbers(text: object, expected: list[float]) -> None:
    assert parse_change(text).applied(pd.Series([10.0, 20.0])).round(9).tolist() == expected


def test_shuffling_keeps_the_values_their_kind_and_the_index_and_is_the_same_every_time() -> None:
    values = pd.Series(pd.Categorical(list("abcdefgh")), index=range(5, 13), name="letter")
    shuffled = parse_change("shuffle").applied(values)
    assert sorted(shuffled) == sorted(values)
    assert shuffled.tolist() != values.tolist()
    assert (shuffled.dtype, shuffled.index.tolist()) == (values.dtype, values.index.tolist())
    assert shuffled.tolist() == parse_change("shuffle").applied(values).tolist()


def test_what_holds_no_numbers_cannot_be_calculated_with() -> None:
    with pytest.raises(InputError, match=r"'\+10%' cannot change 'country', which holds no numbers"):
        parse_change("+10%").applied(pd.Series(["FR"], name="country"))


@pytest.mark.parametrize(
    ("text", "shown"), [(1, "1"), ("<= 12", "<= 12"), ("1.5x", "<= 1.5x"), ("fast", "None"), ("<= x", "None")]
)
def test_bounds(text: object, shown: str) -> None:
    assert str(parse_bound(text)).replace("1.5x", "1.5x") == shown
