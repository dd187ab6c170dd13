"""Real servers for the tests: MLflow's tracking server, its scoring server, and a proxy that counts requests.

Every server listens on 127.0.0.1 alone, has a process group of its own that ends with the `with` block, and is waited
for in bounded time; where it does not come up, its log is the error.
"""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import forked_programs
import same_process
from forked_programs import Program
from stores import new_store

HOST = "127.0.0.1"
_START_SECONDS = 120
# Until a server that does not end by itself is killed; and until what was killed has ended, on a busy machine.
_STOP_SECONDS = 30
_END_SECONDS = 120


class _Start(Protocol):
    """Starts a program with its arguments behind it."""

    def __call__(self, *arguments: str, **options: Any) -> Program:
        """Start it."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    url
        Where it listens.
    directory
        What it may write.
    process
        The leader of its process group.
    """

    url: str
    directory: Path
    process: Program

    @property
    def log(self) -> str:
        """All that it wrote so far, for a failing test's message."""
        return (self.directory / "server.log").read_text(errors="replace")

    @property
    def children(self) -> list[int]:
        """Processes that it has forked and that have not ended: its workers, where it has several."""
        return children_of(self.process.pid)

    def kill(self) -> None:
        """End it at once, with every worker."""
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait(_END_SECONDS)


@contextlib.contextmanager
def tracking_server(directory: Path, workers: int = 1) -> Iterator[Server]:
    """Run `mlflow server` on a SQLite file, with artifacts that go through it.

    Parameters
    ----------
    directory
        An empty directory; the database is `mlflow.db` and the artifacts are under `artifacts` in it.
    workers
        Server processes.
    """
    options = {
        "backend-store-uri": new_store(directory),
        "artifacts-destination": str(directory / "artifacts"),
        "workers": str(workers),
    }
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    start = partial(forked_programs.start, "mlflow", before=same_process.TRACKING if workers == 1 else "")
    with _running(start, ["server"], options, directory, env) as server:
        yield server


@contextlib.contextmanager
def scoring_server(
    model: str | Path,
    directory: Path,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    *,
    stderr: str = "",
) -> Iterator[Server]:
    """Run `mlflow models serve` in this Python environment.

    With the log as its stderr the process goes on as the server, with nothing of this checkout imported; else it starts
    that of the server. For a zip file, too: our own code opens it.

    Parameters
    ----------
    model
        A logged model's URI or directory.
    directory
        For the log.
    workers
        Server processes.
    env
        Further environment variables.
    stderr
        Where a shell leads stderr, such as ``2>/dev/full``; as a default to the log.
    """
    options = {"model-uri": str(model), "env-manager": "local", "workers": str(workers)}
    start: _Start = partial(_begin, "mlflow", stderr)
    if not stderr and not str(model).startswith("zip:"):
        before = f"{same_process.SCORING}{same_process.WORKERS if workers > 1 else ''}"
        start = partial(forked_programs.start, "mlflow", before=before, imported="others")
    with _running(start, ["models", "serve"], options, directory, env or {}) as server:
        yield server


@contextlib.contextmanager
def metamodel_server(
    model: str | Path,
    directory: Path,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    *,
    before: str = "",
    stderr: str = "",
    **options: object,
) -> Iterator[Server]:
    """Run `metamodel serve`.

    Parameters
    ----------
    model
        A logged model's URI or directory, or a bundle's directory.
    directory
        For the log.
    workers
        Server processes.
    env
        Further environment variables.
    before
        Python that the process runs first.
    stderr
        Where a shell leads stderr, such as ``2>/dev/full``; as a default to the log.
    options
        Further options, with underscores.
    """
    named = {name.replace("_", "-"): str(value) for name, value in {"workers": workers, **options}.items()}
    start = partial(_begin, "metamodel", stderr, before=before)
    with _running(start, ["serve", str(model)], named, directory, env or {}) as server:
        if workers > 1:
            wait_for_workers(server, workers)
        yield server


def children_of(process: int) -> list[int]:
    """Name the processes that a process has forked and that have not ended."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for_workers(server: Server, number: int, gone: int | None = None) -> None:
    """Wait until a server has so many: it answers as soon as one listens, and starts one again that is `gone`."""
    deadline = time.monotonic() + _START_SECONDS
    while gone in (children := server.children) or len(children) < number:
        assert time.monotonic() < deadline, f"The server has the workers {children}:\n{server.log}"
        time.sleep(0.05)


def _begin(module: str, leads: str, *arguments: str, **options: Any) -> Program:
    if not leads:
        return forked_programs.start(module, *arguments, **options)
    command = ["sh", "-c", f'exec "$0" "$@" {leads}', sys.executable, "-m", module, *arguments]
    options.pop("before", None)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)


@contextlib.contextmanager
def _running(
    start: _Start, command: Sequence[str], options: Mapping[str, str], directory: Path, env: Mapping[str, str]
) -> Iterator[Server]:
    url = f"http://{HOST}:{free_port()}"
    address = urlsplit(url)
    options = {**options, "host": HOST, "port": str(address.port)}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    with _process(partial(start, *command, *arguments), directory, env) as process:
        server = Server(url, directory, process)
        _wait_until_healthy(server)
        yield server


@contextlib.contextmanager
def _process(start: _Start, directory: Path, env: Mapping[str, str]) -> Iterator[Program]:
    # `mlflow models serve` calls uvicorn by name, so the environment's scripts must be found first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (directory / "server.log").open("wb") as log:
        variables = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **env}
        process = start(cwd=directory, env=variables, stdout=log, stderr=log)
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: Program) -> None:
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    # Workers of a leader that has ended already are in its group still.
    _signal_group(process, signal.SIGKILL)
    process.wait(_END_SECONDS)


def _signal_group(process: Program, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, f"The server ended at its start:\n{server.log}"
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"The server did not come up in {_START_SECONDS} s:\n{server.log}")


def free_port() -> int:
    """Name a port that nobody listens on now, and that nobody else is given within the next minute.

    The port's own side ends a connection to itself first, so that the kernel holds the port in TIME_WAIT: it gives it
    to nobody who asks for any port, but servers, which set SO_REUSEADDR, may listen on it. A port that was only asked
    for and let go can be another process's before the server that it is for has started.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()) as client:
            listener.accept()[0].close()
            client.recv(1)  # nothing: the other side has ended
        return int(listener.getsockname()[1])


class Recorder:
    """What went through a recording proxy."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._requests: list[tuple[str, str]] = []

    def add(self, method: str, path: str) -> None:
        """Record one request."""
        with self._lock:
            self._requests.append((method, path))

    def take(self) -> list[tuple[str, str]]:
        """Return the (method, path) of every request since the last call, in order; paths without their query."""
        with self._lock:
            taken, self._requests = self._requests, []
        return taken


def count_by_endpoint(requests: Sequence[tuple[str, str]]) -> Counter[str]:
    """Count requests by method and path, with the ids of runs and models left out of the path."""
    return Counter(f"{method} {_IDS.sub('{id}', path)}" for method, path in requests)


_IDS = re.compile(r"(m-)?[0-9a-f]{32}")


@contextlib.contextmanager
def recording_proxy(target: str) -> Iterator[Recorder]:
    """Forward HTTP requests to another server of this machine, and record them.

    Parameters
    ----------
    target
        URL of the server.
    """
    address = urlsplit(target).netloc
    recorders: list[Recorder] = []

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def forward(self) -> None:
            recorders[0].add(self.command, urlsplit(self.path).path)
            body = read_body(self)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _PER_CONNECTION}
            upstream = http.client.HTTPConnection(address, timeout=120)
            try:
                upstream.request(self.command, self.path, body=body, headers=headers)
                answer = upstream.getresponse()
                content = answer.read()
            except OSError:
                self.send_error(502, "The server behind the proxy is gone")
                return
            finally:
                upstream.close()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _PER_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer((HOST, 0), Forward) as proxy:
        proxy.daemon_threads = True
        recorders.append(Recorder(url_of(proxy)))
        with answering(proxy):
            yield recorders[0]


def url_of(server: ThreadingHTTPServer) -> str:
    """Where a server of this process listens."""
    return f"http://{HOST}:{server.server_address[1]}"


@contextlib.contextmanager
def answering(server: ThreadingHTTPServer) -> Iterator[None]:
    """Let a server of this process answer, in a thread of its own, until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(_END_SECONDS)


# Headers that speak of one connection and not of the message, and those that are written anew.
_PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """Read the body of a request, whether its length is known or not."""
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    chunks = []  # what `requests` sends for an empty file
    while size := int(request.rfile.readline(), 16):
        chunks.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(chunks)
