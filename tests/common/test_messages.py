"""Texts of errors: one line, and one that any file can hold."""

import pytest

from metamodel.common.messages import error_text


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
