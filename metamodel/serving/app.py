"""The web application of one worker: MLflow's protocol, limits, metrics, readiness."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from mlflow.version import VERSION

from metamodel.common.traces import log_failure
from metamodel.prediction_log.log_writer import PredictionLog
from metamodel.serving.body_reader import Reading
from metamodel.serving.held_bytes import HeldBytes, WorkerBytes
from metamodel.serving.json_request import PlainRequest
from metamodel.serving.prometheus import WorkerFigures
from metamodel.serving.reader_pool import ReaderPool
from metamodel.serving.replies import Reply, refusal
from metamodel.serving.request_body import Disconnected, Receive, RequestBody, Scope, TooLarge, TooMuchHeld, header
from metamodel.serving.scorer import Scorer

__all__ = ["Limits", "Service"]

_logger = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# A plain body up to this size (some ten rows) is answered on the event loop: handing it to a thread and back costs more
# than the answer. Larger ones would keep the loop from everybody else.
_SMALL_BODY = 4096

# From this size on a body is read in another process, because a parser would keep the interpreter for milliseconds;
# of Parquet all are, which may open to a thousand times their size.
_LARGE_BODY = 65_536

_PARQUET = "application/vnd.apache.parquet"

# ... if all that it needs is in memory, and no such answer took this long lately, by the processor's time or twice in a
# row by the clock: once alone would tell of a busy machine, too, which threads make busier. The longest time is
# forgotten slowly, multiplied by this at each further answer.
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
    opened_bytes
        What a body may take when it is read; more is refused with status 413.
    held_bytes, all_held_bytes
        Bytes of bodies that a worker may hold at once, and all workers together; further bodies are refused with
        status 503, save those of a few rows.
    """

    body_bytes: int = 64 * 2**20
    rows: int = 1_000_000
    seconds: float = 60.0
    waiting: int = 64
    threads: int = 4
    opened_bytes: int = 2**30
    held_bytes: int = 256 * 2**20
    all_held_bytes: int = 2**30


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
    log
        Where answers are logged; None for no log.
    readers
        Who reads large bodies; None to read them in the worker's threads.
    held
        Where the bytes of bodies are counted; None for a count of this worker's own.

    Attributes
    ----------
    limits, log
        As above.
    scorer
        Answers what comes next; see `swap`.
    figures
        As above.
    draining
        True once the server is to stop: it answers still, but tells every client and load balancer to go elsewhere.
    """

    def __init__(
        self,
        scorer: Scorer,
        figures: WorkerFigures,
        limits: Limits,
        log: PredictionLog | None = None,
        readers: ReaderPool | None = None,
        held: WorkerBytes | None = None,
    ) -> None:
        self.draining = False
        self.log = log
        self.scorer = scorer
        self.figures = figures
        self._users: Counter[Scorer] = Counter()
        self._leaving: deque[Scorer] = deque()
        figures.serve(*scorer.versions)
        self.limits = limits
        self._readers = readers
        self._held = held or HeldBytes(1, limits.held_bytes, limits.all_held_bytes).of(0)
        self._threads = ThreadPoolExecutor(limits.threads, "metamodel-answer")
        # A lane of its own: whoever asks for a row must not queue behind somebody's tables.
        self._few_rows = ThreadPoolExecutor(limits.threads, "metamodel-answer-few-rows")
        self._waiting: Counter[ThreadPoolExecutor] = Counter()
        self._longest_seconds = self._last_seconds = 0.0
        self._others = self._routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. /invocations is taken before the framework's routing, which costs as much as a row."""
        if scope["type"] != "http" or scope["path"] != "/invocations":
            await self._others(scope, receive, send)
        elif scope["method"] == "POST":
            await self._invocations(scope, receive, send)
        else:
            await JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": "POST"})(scope, receive, send)

    def swap(self, scorer: Scorer) -> Scorer:
        """Let another version answer what comes next, and return the one before, which answers what it has begun."""
        before, self.scorer = self.scorer, scorer
        self.figures.serve(*scorer.versions)
        return before

    def uses(self, scorer: Scorer) -> bool:
        """Whether a request is being answered by it still, or may be, or its challenger is asked behind answers."""
        return scorer is self.scorer or self._users[scorer] > 0 or scorer.is_asking

    def forget(self, scorer: Scorer) -> None:
        """Count no more for a version that was swapped out, after what it has counted last."""
        self._leaving.append(scorer)  # only the event loop writes figures

    @property
    def busy(self) -> bool:
        """Whether a thread is still at work."""
        return self._waiting.total() > 0

    def drain(self) -> None:
        """Tell every client and load balancer to go elsewhere, and let nothing wait in the log."""
        self.draining = True
        if self.log is not None:
            self.log.hurry()

    def close(self) -> None:
        """Let the threads end, and the log be written."""
        for threads in (self._threads, self._few_rows):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._readers is not None:
            self._readers.close()
        if self.log is not None:
            self.log.close()

    def _publish(self, scorer: Scorer) -> None:
        self.figures.publish(scorer.model.stats(), scorer)
        while self._leaving:
            gone = self._leaving.popleft()
            self.figures.publish(gone.model.stats(), gone)
            self.figures.forget(gone)
            self._users.pop(gone, None)
        if self.log is not None:
            self.figures.logged(*self.log.counts)

    def _routes(self) -> FastAPI:
        # A redirect would repeat the target and the host that a stranger named.
        app = FastAPI(openapi_url=None, redirect_slashes=False)

        async def ping() -> Response:
            """Say whether requests are welcome."""
            return Response("\n", 503 if self.draining else 200, media_type="application/json")

        async def version() -> Response:
            """Name MLflow's version, as its server does; a header names the model's."""
            headers = {name.decode(): value.decode() for name, value in self.scorer.headers}
            return Response(VERSION, headers=headers, media_type="application/json")

        async def metrics() -> Response:
            """Show the figures of all workers."""
            self._publish(self.scorer)
            return Response(self.figures.all.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

        for path, endpoint in {"/ping": ping, "/health": ping, "/version": version, "/metrics": metrics}.items():
            app.add_api_route(path, endpoint, methods=["GET"])
        return app

    async def _invocations(self, scope: Scope, receive: Receive, send: Send) -> None:
        scorer = self.scorer
        self._users[scorer] += 1
        try:
            await self._answered(scorer, scope, receive, send)
        finally:
            self._users[scorer] -= 1

    async def _answered(self, scorer: Scorer, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        body, way = RequestBody(self._held, _SMALL_BODY), ""
        try:
            async with asyncio.timeout(self.limits.seconds):
                await body.receive(scope, receive, self.limits.body_bytes)
                reply, way = await self._answer(scorer, body, header(scope, b"content-type"))
        except TooLarge:
            limit = f"This server takes {self.limits.body_bytes:,} bytes."
            reply = refusal(413, "BAD_REQUEST", f"The request's body is too large. {limit} Send the rows in parts.")
        except TooMuchHeld:
            reply = _busy("The server holds as many large bodies as it may.")
        except TimeoutError:
            limit = f"The answer took longer than {self.limits.seconds:g} s."
            reply = refusal(504, "DEADLINE_EXCEEDED", f"{limit} Send fewer rows at once, or try again later.")
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the next request is answered
            log_failure(_logger, "A request failed", error)
            reply = Reply(500, b"Internal Server Error", "text/plain")
        finally:
            body.let_go()
        self.figures.record(reply.status, way, time.perf_counter() - started, len(body.content))
        self._publish(scorer)
        # What is left of a body is never read.
        await self._send(reply, send, scorer, close=self.draining or not body.is_whole)

    async def _answer(self, scorer: Scorer, body: RequestBody, content_type: str | None) -> tuple[Reply, str]:
        if len(body.content) > _SMALL_BODY:
            return await self._in_thread(self._threads, body, self._any, scorer, body.content, content_type)
        request = scorer.read(body.content, content_type)
        if request is None:
            return await self._in_thread(self._threads, body, self._any, scorer, body.content, content_type)
        if self._longest_seconds > _SLOW_SECONDS or not scorer.is_quick(request):
            return await self._in_thread(self._few_rows, body, self._plain, scorer, request)
        return self._plain(scorer, request)

    def _plain(self, scorer: Scorer, request: PlainRequest) -> tuple[Reply, str]:
        started, began = time.perf_counter(), time.thread_time()
        reply = scorer.answer(request)
        self._learn(time.perf_counter() - started, time.thread_time() - began)
        return reply, "plain"

    def _any(self, scorer: Scorer, body: bytes, content_type: str | None) -> tuple[Reply, str]:
        reading = self._read(scorer, body, content_type)
        return scorer.answer_reading(reading), reading.way

    def _read(self, scorer: Scorer, body: bytes, content_type: str | None) -> Reading:
        is_large = len(body) > _LARGE_BODY or (content_type or "").startswith(_PARQUET)
        if self._readers is None or not is_large:
            reader = scorer.reader
            return (reader.read if len(body) > _SMALL_BODY else reader.read_by_mlflow)(body, content_type)
        return self._readers.read(scorer.reader, body, content_type)

    def _learn(self, seconds: float, of_processor: float) -> None:
        twice, self._last_seconds = min(seconds, self._last_seconds), seconds
        self._longest_seconds = max(of_processor, twice, _FADING * self._longest_seconds)

    async def _in_thread(
        self,
        threads: ThreadPoolExecutor,
        body: RequestBody,
        answer: Callable[..., tuple[Reply, str]],
        scorer: Scorer,
        *given: Any,
    ) -> tuple[Reply, str]:
        if self._waiting[threads] >= self.limits.waiting:
            return _busy("The server has too much to do."), ""
        # A thread cannot be stopped: it counts until it ends, though its client may have been told 504 long before.
        future = threads.submit(answer, scorer, *given)
        body.keep()
        self._count_waiting(threads, scorer, 1)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, partial(self._done, threads, scorer, body)))
        return await asyncio.wrap_future(future)

    def _done(self, threads: ThreadPoolExecutor, scorer: Scorer, body: RequestBody) -> None:
        body.let_go()
        self._count_waiting(threads, scorer, -1)

    def _count_waiting(self, threads: ThreadPoolExecutor, scorer: Scorer, change: int) -> None:
        self._waiting[threads] += change
        self._users[scorer] += change
        self.figures.waiting(self._waiting.total())

    async def _send(self, reply: Reply, send: Send, scorer: Scorer, *, close: bool) -> None:
        kind = reply.media_type if reply.media_type.startswith("application/") else f"{reply.media_type}; charset=utf-8"
        headers = [
            (b"content-length", str(len(reply.body)).encode()),
            (b"content-type", kind.encode()),
            *scorer.headers,
        ]
        if reply.status == 503:
            headers.append((b"retry-after", b"1"))
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


def _busy(fact: str) -> Reply:
    return refusal(503, "TEMPORARILY_UNAVAILABLE", f"{fact} Try again in a second.")
