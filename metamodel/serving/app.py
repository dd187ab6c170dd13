"""The web application of one worker: MLflow's protocol, limits, metrics, readiness."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from mlflow.version import VERSION

from metamodel.serving.json_request import PlainRequest
from metamodel.serving.prometheus import WorkerFigures
from metamodel.serving.scorer import Reply, Scorer, refusal

__all__ = ["Limits", "Service"]

_logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# A plain body up to this size (some ten rows) is answered on the event loop: handing it to a thread and back costs more
# than the answer. Larger ones would keep the loop from everybody else.
_SMALL_BODY = 4096

# ... if all that it needs is in memory, and no such answer took this long lately: the longest time is forgotten slowly,
# multiplied by this at each further answer.
_SLOW_SECONDS = 0.005

_FADING = 0.98


@dataclass(frozen=True)
class Limits:
    """What one server takes.

    Parameters
    ----------
    body_bytes, rows
        More is refused with status 413.
    seconds
        A request that takes longer is answered with status 504.
    waiting
        Requests that may be in a worker's thread pool; further ones are refused with status 503.
    threads
        Threads of each worker for what is not answered on its event loop.
    """

    body_bytes: int = 64 * 2**20
    rows: int = 1_000_000
    seconds: float = 60.0
    waiting: int = 64
    threads: int = 4


class _TooLarge(Exception):
    """A body is larger than the limit."""


class _Disconnected(Exception):
    """The client has gone before its body had come."""


class Service:
    """The application as a web server calls it (ASGI).

    Parameters
    ----------
    scorer
        Answers the requests.
    figures
        Where this worker counts.
    limits
        What is refused.

    Attributes
    ----------
    limits
        As above.
    draining
        True once the server is to stop: it answers still, but tells every client and load balancer to go elsewhere.
    """

    def __init__(self, scorer: Scorer, figures: WorkerFigures, limits: Limits) -> None:
        self.draining = False
        self._scorer = scorer
        self._figures = figures
        self.limits = limits
        self._threads = ThreadPoolExecutor(limits.threads, "metamodel-answer")
        self._waiting = 0
        self._longest_seconds = 0.0
        self._others = self._routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. /invocations is taken before the framework's routing, which costs as much as a row."""
        if scope["type"] != "http" or scope["path"] != "/invocations":
            await self._others(scope, receive, send)
        elif scope["method"] == "POST":
            await self._invocations(scope, receive, send)
        else:
            await JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": "POST"})(scope, receive, send)

    @property
    def busy(self) -> bool:
        """Whether a thread is still at work."""
        return self._waiting > 0

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _routes(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        async def ping() -> Response:
            """Say whether requests are welcome."""
            return Response("\n", 503 if self.draining else 200, media_type="application/json")

        async def version() -> Response:
            """Name MLflow's version, as its server does."""
            return Response(VERSION, media_type="application/json")

        async def metrics() -> Response:
            """Show the figures of all workers."""
            self._figures.publish(self._scorer.model.stats())
            return Response(self._figures.all.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

        for path, endpoint in {"/ping": ping, "/health": ping, "/version": version, "/metrics": metrics}.items():
            app.add_api_route(path, endpoint, methods=["GET"])
        return app

    async def _invocations(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        body, way = b"", ""
        try:
            async with asyncio.timeout(self.limits.seconds):
                body = await _body(scope, receive, self.limits.body_bytes)
                reply, way = await self._answer(body, _header(scope, b"content-type"))
        except _TooLarge:
            limit = f"This server takes {self.limits.body_bytes:,} bytes."
            reply = refusal(413, "BAD_REQUEST", f"The request's body is too large. {limit} Send the rows in parts.")
        except TimeoutError:
            limit = f"The answer took longer than {self.limits.seconds:g} s."
            reply = refusal(504, "DEADLINE_EXCEEDED", f"{limit} Send fewer rows at once, or try again later.")
        except _Disconnected:
            return
        except Exception:
            _logger.exception("A request failed")
            reply = Reply(500, b"Internal Server Error", "text/plain")
        self._figures.record(reply.status, way, time.perf_counter() - started, len(body))
        self._figures.publish(self._scorer.model.stats())
        await self._send(reply, send)

    async def _answer(self, body: bytes, content_type: str | None) -> tuple[Reply, str]:
        if len(body) > _SMALL_BODY or self._longest_seconds > _SLOW_SECONDS:
            return await self._in_thread(self._any, body, content_type)
        request = self._scorer.read(body, content_type)
        if request is None:
            return await self._in_thread(self._mlflows, body, content_type)
        if not self._scorer.is_quick(request):
            return await self._in_thread(self._plain, request)
        return self._plain(request)

    def _plain(self, request: PlainRequest) -> tuple[Reply, str]:
        started = time.perf_counter()
        reply = self._scorer.answer(request)
        self._learn(time.perf_counter() - started)
        return reply, "plain"

    def _mlflows(self, body: bytes, content_type: str | None) -> tuple[Reply, str]:
        return self._scorer.answer_by_mlflow(body, content_type), "mlflow"

    def _any(self, body: bytes, content_type: str | None) -> tuple[Reply, str]:
        request = self._scorer.read(body, content_type)
        if request is None:
            return self._mlflows(body, content_type)
        if len(body) > _SMALL_BODY:
            return self._scorer.answer(request), "plain"
        return self._plain(request)

    def _learn(self, seconds: float) -> None:
        self._longest_seconds = max(seconds, _FADING * self._longest_seconds)

    async def _in_thread(self, answer: Callable[..., tuple[Reply, str]], *given: Any) -> tuple[Reply, str]:
        if self._waiting >= self.limits.waiting:
            return refusal(503, "TEMPORARILY_UNAVAILABLE", "The server has too much to do. Try again in a second."), ""
        # A thread cannot be stopped: it counts until it ends, though its client may have been told 504 long before.
        future = self._threads.submit(answer, *given)
        self._count_waiting(1)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._count_waiting, -1))
        return await asyncio.wrap_future(future)

    def _count_waiting(self, change: int) -> None:
        self._waiting += change
        self._figures.waiting(self._waiting)

    async def _send(self, reply: Reply, send: Send) -> None:
        kind = reply.media_type if reply.media_type.startswith("application/") else f"{reply.media_type}; charset=utf-8"
        headers = [(b"content-length", str(len(reply.body)).encode()), (b"content-type", kind.encode())]
        if reply.status == 503:
            headers.append((b"retry-after", b"1"))
        if self.draining or reply.status == 413:  # the rest of a body that is too large is never read
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[int], None], argument: int) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, argument)


def _header(scope: Scope, name: bytes) -> str | None:
    for found, value in scope["headers"]:
        if found == name:
            return str(value.decode("latin-1"))
    return None


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    length = _header(scope, b"content-length")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise _TooLarge
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _TooLarge
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)
