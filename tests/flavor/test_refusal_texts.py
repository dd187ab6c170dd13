"""MLflow's messages in words of our own."""

import pytest

from metamodel.flavor.refusal_texts import refusal_reason

pytestmark = pytest.mark.tableless

MARK = "marker-41c7"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            f"Failed to predict data '{MARK}'. \nError: Invalid parameters found: {MARK}",
            "The params are of a wrong type",
        ),
        (f"Invalid input. Ensure that input is a valid JSON formatted string: {MARK}", "The body is no JSON."),
        (f"Can not safely convert {MARK} in column price to type double", "Column 'price' holds a value"),
        (f"In column {MARK} to type double", "The values do not fit the model's columns."),
        (MARK, "and only numbers or null in price."),
    ],
)
def test_the_reason_is_told_and_no_value(message: str, said: str) -> None:
    told = refusal_reason(message, ["price"])
    assert said in told
    assert MARK not in told
