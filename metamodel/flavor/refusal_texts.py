"""What MLflow says of a request that it refuses, in words that hold nothing of the request."""

import re
from collections.abc import Sequence

from metamodel.common.messages import listing

__all__ = ["FORMATS", "refusal_reason"]

# How MLflow's message starts, or goes on behind the rows → what the caller is told.
_REASONS = {
    "Invalid parameters found": "The params are of a wrong type: detail is true or false, the others are text.",
    "Parameters must be": "The params are no JSON object.",
}

_BODY_REASONS = {
    "Invalid input. Ensure that input is a valid JSON": "The body is no JSON.",
    "Invalid input. Ensure that input is a valid UTF-8": "The body is not encoded in UTF-8.",
    "Invalid input. The input must be a JSON dictionary": "The body is no JSON object.",
    "Invalid input. Dataframe": "The table is not laid out as the key above it says.",
    "The input must be a JSON dictionary": "The body names no table.",
}

FORMATS = "Send a JSON object with one of dataframe_split, dataframe_records, instances and inputs, CSV, or Parquet."

_COLUMN = re.compile(r"column (.+?)(?: to type|\. Can not safely)")


def refusal_reason(message: str, numbers: Sequence[str]) -> str:
    r"""Say what MLflow said, in words that hold nothing of the request.

    Parameters
    ----------
    message
        MLflow's, which may quote the rows.
    numbers
        Names of the model's columns of numbers, which alone may be named.

    Examples
    --------
    >>> refusal_reason("Failed to predict data 'x=7'. \nError: Parameters must be a dictionary", [])
    'The params are no JSON object.'
    """
    behind_the_rows = message.rpartition("\nError: ")[2]
    for start, reason in _REASONS.items():
        if behind_the_rows.startswith(start):
            return reason
    for start, reason in _BODY_REASONS.items():
        if message.startswith(start):
            return f"{reason} {FORMATS}"
    named = [name for name in _COLUMN.findall(message) if name in numbers]
    if named:
        return f"Column {named[-1]!r} holds a value that is no number. Send numbers or null."
    return (
        "The values do not fit the model's columns. Give every column once, as many values in each, "
        f"and only numbers or null in {listing(numbers, 20)}."
    )
