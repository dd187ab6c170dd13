"""Tokens of endpoints: taken from the environment, never from a URI, which is stored and shown."""

import os
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from metamodel.exceptions import InputError

__all__ = ["TOKENS_VARIABLE", "token_for"]

TOKENS_VARIABLE = "METAMODEL_ENDPOINT_TOKENS"


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


def token_for(url: str) -> AuthBase | None:
    """Find the token of the server that a URL leads to; None where the environment has none for it.

    METAMODEL_ENDPOINT_TOKENS holds ``https://host=token`` or ``https://host:port=token``, separated by spaces. Scheme,
    host and port must be those of the URL: a token goes to no other server, and in the clear only where ``http://`` is
    written. Without one, `requests` looks for the host in the user's netrc file.

    Raises
    ------
    InputError
        The variable cannot be read; the message holds nothing of it.

    Examples
    --------
    >>> token_for("https://models.example/fr/invocations") is None
    True
    """
    tokens = dict(_entry(text) for text in os.environ.get(TOKENS_VARIABLE, "").split())
    token = tokens.get(_origin(url))
    return None if token is None else _Bearer(token)


def _entry(text: str) -> tuple[tuple[str, str, int | None], str]:
    server, _, token = text.partition("=")
    origin = _origin(server)
    if origin[0] not in ("http", "https") or not origin[1] or not token:
        raise InputError(f"{TOKENS_VARIABLE} cannot be read. Write https://host=token, separated by spaces.")
    return origin, token


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), default if port is None else port
