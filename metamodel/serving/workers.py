"""The processes of a server: one, or one that starts and watches several which share a socket and an open bundle."""

import asyncio
import atexit
import contextlib
import logging
import math
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from metamodel.common.traces import log_failure
from metamodel.exceptions import InputError
from metamodel.serving.app import Service
from metamodel.serving.head_limits import LimitedConnection
from metamodel.serving.refused_connections import refuse_connections, take_connections

__all__ = ["bind", "run_one", "run_several"]

_logger = logging.getLogger(__name__)

_BACKLOG = 2048

# How long a thread that parses a large body keeps the interpreter from the event loop, which asks several times a
# request; Python's own 5 ms, times the threads at work, are what a single row would wait.
_SWITCH_SECONDS = 0.0005

# A worker that ends before it listened, or so soon after its start, has not served anybody; when each has ended so many
# times in a row the server gives up.
_SOON_SECONDS = 5.0

_PATIENCE = 5

_PAUSE_SECONDS = 0.5

# When the server stops it waits for those whose connection is being made, as long as they need for an answer to come
# and go. Where the system cannot be told to take no more of them, others follow; so that there is an end.
_QUIET_SECONDS = 0.2

_LAST_SECONDS = 2.0

RunWorker = Callable[[int, Callable[[], None]], None]


def bind(host: str, port: int) -> socket.socket:
    """Take the address, without listening yet: nobody can connect before the model is open.

    Raises
    ------
    InputError
        The address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        raise InputError(f"Cannot listen on {host}:{port} ({error}). Choose another --host or --port.") from error
    bound.set_inheritable(True)
    return bound


class _Server(uvicorn.Server):
    """A worker's web server, which goes on answering for a while after it was told to stop.

    Parameters
    ----------
    service
        The application.
    drain_seconds
        How long new requests are still answered, each with the note to go elsewhere from now on.
    parent
        The process that watches over this one; without it this one ends too.
    """

    def __init__(self, service: Service, drain_seconds: float, parent: int | None) -> None:
        # Access logs cost a tenth of a request, and /metrics says more.
        config = uvicorn.Config(
            service,
            loop="uvloop",
            http=LimitedConnection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            # Every answer comes in time, but a client need not take it.
            timeout_graceful_shutdown=math.ceil(service.limits.seconds),
        )
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_seconds
        self._parent = parent

    async def on_tick(self, counter: int) -> bool:
        """Look whether it is time to stop; called ten times a second."""
        if self._parent is not None and os.getppid() != self._parent:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, and see to it that this comes to an end whatever the event loop is at."""
        if self._parent is None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._drain_seconds + self._service.limits.seconds)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop without failing a request."""
        self._service.drain()
        await asyncio.sleep(self._drain_seconds)
        for listening in sockets or []:
            await _accept_the_last(listening)
        await super().shutdown(sockets)
        self._service.close()


async def _accept_the_last(listening: socket.socket) -> None:
    """Let whoever is connected be accepted, and nobody connect any more: the system resets who waits at the close.

    A client whose connection is not made is refused a little later, when nobody listens: it has sent nothing yet.
    """
    refuse_connections(listening)
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    began = quiet_since = time.monotonic()
    while (now := time.monotonic()) < min(quiet_since + _QUIET_SECONDS, began + _LAST_SECONDS):
        await asyncio.sleep(_QUIET_SECONDS / 40)
        if waiting.poll(0):
            quiet_since = now


def run_one(service: Service, listening: socket.socket, drain_seconds: float, parent: int | None = None) -> None:
    """Serve in this process until SIGTERM or SIGINT, and finish what is under way then."""
    server = _Server(service, drain_seconds, parent)
    # A signal before uvicorn looks for them stops it too. After its orderly end uvicorn raises the signal again, which
    # would otherwise make the exit code that of a kill.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    take_connections(listening)
    listening.listen(_BACKLOG)
    sys.setswitchinterval(_SWITCH_SECONDS)
    server.run([listening])
    signal.setitimer(signal.ITIMER_REAL, 0)
    if parent is None and service.busy:
        # A child that does not end: Python's own exit would wait for its thread.
        atexit._run_exitfuncs()
        _flush_streams()
        os._exit(0)


def run_several(start: RunWorker, workers: int, grace_seconds: float) -> int:
    """Fork workers, start again whichever dies, and end them all on SIGTERM or SIGINT.

    Parameters
    ----------
    start
        Serves as the worker of a number; called in the new process, with what to call when it is about to listen.
    workers
        How many.
    grace_seconds
        How long workers may take to end before they are killed.

    Returns
    -------
    int
        Exit code: 0 after a signal, 1 where the workers would not stay alive.
    """
    return _Watch(start, grace_seconds, mmap.mmap(-1, workers)).run(workers)


@dataclass
class _Watch:
    """Watches over workers."""

    start: RunWorker
    grace_seconds: float
    listened: mmap.mmap  # a byte of each worker, 1 once it has
    stopping: bool = False
    _running: dict[int, tuple[int, float]] = field(default_factory=dict, init=False)
    _short_lives: Counter[int] = field(default_factory=Counter, init=False)

    def run(self, workers: int) -> int:
        """Watch until all have ended; returns the exit code."""
        for handled in (signal.SIGTERM, signal.SIGINT):
            signal.signal(handled, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        for number in range(workers):
            self._fork(number)
        while self._running:
            process, _ = os.waitpid(-1, 0)
            if process in self._running:
                self._ended(*self._running.pop(process))
        return 1 if self._gives_up else 0

    def _fork(self, number: int) -> None:
        # A signal between the fork and the note of the new process would miss it.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        _flush_streams()
        if not self.stopping:
            self.listened[number] = 0
            process = os.fork()
            if process == 0:
                _be_worker(partial(self.start, number, partial(self.listened.__setitem__, number, 1)), held)
            self._running[process] = number, time.monotonic()
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def _ended(self, number: int, started: float) -> None:
        if self.stopping:
            return
        soon = not self._has_served(number, started)
        self._short_lives[number] = self._short_lives[number] + 1 if soon else 0
        if self._gives_up:
            _logger.error("Workers end as soon as they start; the server gives up.")
            self._stop(signal.SIGTERM, None)
            return
        if soon and self._short_lives[number] > 1:
            _logger.warning("Worker %d ended soon after its start again; it is started in a while.", number)
            time.sleep(_PAUSE_SECONDS)  # one that always ends at once must not take the others' time
        else:
            _logger.warning("Worker %d ended unexpectedly; it is started again.", number)
        self._fork(number)

    @property
    def _gives_up(self) -> bool:
        """Whether no worker stays alive: one that was killed again and again must not end those that serve."""
        return all(self._short_lives[number] >= _PATIENCE for number in range(len(self.listened)))

    def _has_served(self, number: int, started: float) -> bool:
        return bool(self.listened[number]) and time.monotonic() - started >= _SOON_SECONDS

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        signal.setitimer(signal.ITIMER_REAL, self.grace_seconds)
        self._signal(signal.SIGTERM)

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(process, number)


def _flush_streams() -> None:
    """Write what is kept back, if somebody takes it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()


def _be_worker(start: Callable[[], None], held: Any) -> None:
    """Serve, and leave without what the parent process wants to do at its own exit."""
    code = 1
    try:
        for handled in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(handled, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        start()
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the process ends
        log_failure(_logger, "A worker failed", error)
    finally:
        os._exit(code)
