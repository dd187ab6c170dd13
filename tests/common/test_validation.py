"""What the values of options may be: true is no number, and a wrong word is told the right ones."""

from typing import Any

import numpy as np
import pytest

from metamodel.common.validation import is_number, is_whole, one_of
from metamodel.exceptions import InputError

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize("value", [True, False, "1", None, [1], 1j])
def test_what_is_no_number(value: Any) -> None:
    assert not is_number(value)
    assert not is_whole(value, least=0)


@pytest.mark.parametrize(
    ("value", "whole"), [(0, True), (-1, False), (2**70, True), (1.0, False), (np.float64(1), False)]
)
def test_whole_numbers_start_at_the_least(value: Any, whole: bool) -> None:
    assert is_number(value)
    assert is_whole(value, least=0) is whole


@pytest.mark.parametrize("value", ["", "z", None, 1, ["z"]])
def test_another_word_is_refused_with_those_there_are(value: Any) -> None:
    with pytest.raises(InputError, match=r"^option=.* is unknown\. Use one of: a, b\.$"):
        one_of("option", value, ("a", "b"))


def test_a_word_that_is_nearly_one_of_them_is_told_which() -> None:
    with pytest.raises(InputError, match=r"Use one of: null, error\. Did you mean 'error'\?$"):
        one_of("unknown", "eror", ("null", "error"))
