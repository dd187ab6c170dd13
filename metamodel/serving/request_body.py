"""The body of one request: received within the limits, counted as long as somebody needs it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from metamodel.serving.held_bytes import WorkerBytes

__all__ = ["Disconnected", "RequestBody", "TooLarge", "TooMuchHeld", "header"]

Scope = MutableMapping[str, Any]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class TooLarge(Exception):
    """A body is larger than the limit."""


class TooMuchHeld(Exception):
    """The server holds as many bytes as it may."""


class Disconnected(Exception):
    """The client has gone before its body had come."""


class RequestBody:
    """What one client sends; used by the event loop alone.

    Parameters
    ----------
    held
        Where its bytes are counted.
    small
        A body that comes at once and has no more bytes than this is not counted: a row must not be refused because of
        tables.

    Attributes
    ----------
    content
        The bytes, once they are received.
    is_whole
        Whether all of them are; else more of them stand in the connection.
    """

    def __init__(self, held: WorkerBytes, small: int) -> None:
        self.content = b""
        self.is_whole = False
        self._held = held
        self._small = small
        self._counted = 0
        self._users = 1

    async def receive(self, scope: Scope, receive: Receive, limit: int) -> None:
        """Receive it.

        Raises
        ------
        TooLarge
            It has more bytes than the limit; one that says so is not received at all.
        TooMuchHeld
            The server holds too much already.
        Disconnected
            It breaks off.
        """
        length = header(scope, b"content-length")
        if length is not None and length.isdecimal() and int(length) > limit:
            raise TooLarge
        parts, size = [], 0
        while not self.is_whole:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            self.is_whole = not message.get("more_body", False)
            if size > limit:
                raise TooLarge
            if not (self.is_whole and size <= self._small):
                self._count(size)
        self.content = parts[0] if len(parts) == 1 else b"".join(parts)

    def keep(self) -> None:
        """Count it until one more has let it go: a thread, which ends when it ends."""
        self._users += 1

    def let_go(self) -> None:
        """Count it no more, unless somebody else keeps it."""
        self._users -= 1
        if not self._users:
            self._held.give_back(self._counted)
            self._counted = 0

    def _count(self, size: int) -> None:
        if not self._held.take(size - self._counted):
            raise TooMuchHeld
        self._counted = size


def header(scope: Scope, name: bytes) -> str | None:
    """Read a header of a request."""
    for found, value in scope["headers"]:
        if found == name:
            return str(value.decode("latin-1"))
    return None
