"""Connections with limits: size and time of a head, and requests that wait behind others on one connection.

uvicorn limits none of these with httptools. The parser, the protocol and the keep-alive timer stay uvicorn's.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "PIPELINED", "LimitedConnection"]

# Target and headers of one request together; more is refused with 431. Other servers take 8 to 64 KB.
HEAD_BYTES = 65_536

# From the connection, or from the first byte of a further request, until its head is whole.
HEAD_SECONDS = 10.0

# For the first request of a connection that was made when the server began to stop.
FIRST_SECONDS = 0.5

# Requests of one connection that may wait behind the one being answered; with more the connection is closed.
PIPELINED = 64


class _Refused(Exception):
    """Ends the parsing of what a client sends."""


class LimitedConnection(HttpToolsProtocol):
    """A connection whose heads are bounded in size and time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reads_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._refusal = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, which holds the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, unless the head grows without an end."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._reads_head:
            # Unfinished headers are in the parser, which tells of whole ones alone.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refusal = 431
                self.send_400_response("")
                return
        if self._reads_head or self.cycle is None or self.cycle.response_complete:
            self._await_head()

    def on_message_begin(self) -> None:
        """Count anew."""
        self._reads_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._check_head(len(self.url) + len(url))
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._check_head(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers))
        if len(self.pipeline) >= PIPELINED:
            self._refusal = -1
            raise _Refused
        self._reads_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Answer the next that waits before more is read."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def shutdown(self) -> None:
        """Close, unless the first request is still to come: whoever has just connected is about to send it."""
        if self.cycle is None and not self.transport.is_closing():
            self.loop.call_later(FIRST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or is not taken."""
        if self._refusal == 0:
            super().send_400_response(msg)
        elif self._refusal < 0:
            self.transport.abort()
        else:
            headers = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            text = b"The request's target and headers are too large."
            length = b"content-length: %d\r\n\r\n" % len(text)
            self.transport.write(STATUS_LINE[self._refusal] + headers + length + text)
            self.transport.close()

    def _check_head(self, size: int) -> None:
        if size > HEAD_BYTES:
            self._refusal = 431
            raise _Refused

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
