"""Texts of errors: one line, and one that any file can hold."""

import numpy as np
import pandas as pd
import pytest

from metamodel.common.messages import did_you_mean, error_text, short


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("x" * 600), "RuntimeError: " + "x" * 500 + "..."),
    ],
)
def test_an_error_becomes_one_line(error, text):
    assert error_text(error) == text


@pytest.mark.parametrize(
    ("names", "known", "text"),
    [
        ("stroe", ["country", "store"], " Did you mean 'store'?"),
        ("STORE", ["store"], " Did you mean 'store'?"),
        ("hist-gradient-boosting", ["hist_gradient_boosting"], " Did you mean 'hist_gradient_boosting'?"),
        ("Größe", ["größe", "farbe"], " Did you mean 'größe'?"),
        (["stroe", "zzz"], ["store"], " Did you mean 'store' for 'stroe'?"),
        ("weekday", ["store"], ""),
        ("store", [], ""),
        (["7"], [7, 70], " Did you mean '7'?"),
        (5, ["5"], ""),
        ("x" * 100_000, ["x" * 100_001], ""),
    ],
)
def test_what_may_have_been_meant_is_said_where_it_is_close(names, known, text):
    assert did_you_mean(names, known) == text


@pytest.mark.parametrize(
    "value", [np.eye(3), pd.DataFrame({"a": [1, 2]}), pd.Series(["x"])], ids=lambda v: type(v).__name__
)
def test_a_table_is_shown_in_one_line(value):
    assert "\n" not in short(value)
    assert short("a\nb") == r"'a\nb'"
