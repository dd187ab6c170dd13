"""What callers of MLflow's scoring server read when their request is refused: one message without their rows.

MLflow refuses some requests before a model sees them (no JSON, text in a column of numbers, params of a wrong type).
Its messages quote the rows, and some come with a traceback. In a process that runs MLflow's server, and nowhere else,
the caller reads a message that is made here instead.
"""

import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, ErrorCode

from metamodel.common.messages import listing

__all__ = ["PublicError", "hide_rows"]

_logger = logging.getLogger(__name__)

_SERVER = "mlflow.pyfunc.scoring_server"

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
    "Failed to parse input as a Pandas DataFrame": "The body is no Parquet file.",
}

_FORMATS = "Send a JSON object with one of dataframe_split, dataframe_records, instances and inputs, CSV, or Parquet."

_COLUMN = re.compile(r"column (.+?)(?: to type|\. Can not safely)")


class PublicError(MlflowException):
    """An error whose message may leave the server.

    MLflow's server writes the caller's rows in front of an error's message; this message stays as it was made.
    """

    def __init__(self, message: str, error_code: int = INTERNAL_ERROR) -> None:
        self._public = message
        super().__init__(message, error_code=error_code)

    def __reduce__(self) -> tuple[type["PublicError"], tuple[str, int]]:
        return type(self), (self._public, ErrorCode.Value(self.error_code))

    @property
    def message(self) -> str:
        """The message as it was made."""
        return self._public

    @message.setter
    def message(self, _: str) -> None:
        """Leave the message as it is."""


def hide_rows(numbers: Sequence[str]) -> None:
    """Let the scoring server of this process, if it is one, answer nothing but public messages.

    Parameters
    ----------
    numbers
        Names of the columns that the signature declares as numbers.
    """
    server: Any = sys.modules.get(_SERVER)
    if server is None:
        return
    original = getattr(server.invocations, "original", server.invocations)

    def invocations(data: Any, content_type: str, model: Any, input_schema: Any) -> Any:
        try:
            return original(data, content_type, model, input_schema)
        except PublicError:
            raise
        except MlflowException as error:
            _logger.debug("A request was refused: %s", error)
            raise PublicError(_reason(error.message, numbers), ErrorCode.Value(error.error_code)) from error

    invocations.original = original  # type: ignore[attr-defined]
    server.invocations = invocations


def _reason(message: str, numbers: Sequence[str]) -> str:
    """Say what MLflow said, in words that hold nothing of the request."""
    behind_the_rows = message.rpartition("\nError: ")[2]
    for start, reason in _REASONS.items():
        if behind_the_rows.startswith(start):
            return reason
    for start, reason in _BODY_REASONS.items():
        if message.startswith(start):
            return f"{reason} {_FORMATS}"
    named = [name for name in _COLUMN.findall(message) if name in numbers]
    if named:
        return f"Column {named[-1]!r} holds a value that is no number. Send numbers or null."
    return (
        "The values do not fit the model's columns. Give every column once, as many values in each, "
        f"and only numbers or null in {listing(numbers, 20)}."
    )
