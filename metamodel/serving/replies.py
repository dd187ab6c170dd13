"""What is sent back, and refusals in the form of MLflow's errors."""

from typing import NamedTuple

import orjson
from mlflow.exceptions import MlflowException

__all__ = ["JSON", "Reply", "refusal", "refused"]

JSON = "application/json"


class Reply(NamedTuple):
    """What is sent back.

    Attributes
    ----------
    status
        HTTP status.
    body, media_type
        Content and its type.
    """

    status: int
    body: bytes
    media_type: str = JSON


def refusal(status: int, code: str, message: str) -> Reply:
    """Refuse a request in the form of MLflow's errors.

    Examples
    --------
    >>> refusal(503, "TEMPORARILY_UNAVAILABLE", "Later.").body
    b'{"error_code":"TEMPORARILY_UNAVAILABLE","message":"Later."}'
    """
    return Reply(status, orjson.dumps({"error_code": code, "message": message}))


def refused(error: MlflowException) -> Reply:
    """Refuse a request with an error whose message may leave the server, as MLflow's server does."""
    return Reply(error.get_http_status_code(), error.serialize_as_json().encode())
