"""Children registered one by one, as teams that came before have them; and a proxy that misbehaves on purpose."""

import contextlib
import http.client
import pickle
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from servers import HOST, answering, read_body, url_of

import metamodel
from metamodel.flavor.export import export_child


def panel(groups: int, rows: int = 6) -> pd.DataFrame:
    """A table in which every store has its own slope."""
    rng = np.random.default_rng(groups)
    store = np.repeat(np.arange(groups), rows)
    frame = pd.DataFrame({"store": store, "x": rng.normal(size=len(store)), "z": rng.normal(size=len(store))})
    return frame.assign(y=frame["x"] * (frame["store"] + 1) + frame["z"])


def export_all(bundled: metamodel.MetaModel, keys: Sequence[int], directory: Path) -> list[Path]:
    """Write each child as an MLflow model of its own; what does not differ is written by MLflow once."""
    first = directory / "first"
    export_child(bundled, (keys[0],), first)
    paths = []
    for key in keys:
        path = directory / str(key)
        shutil.copytree(first, path)
        (path / "model.pkl").write_bytes(pickle.dumps(bundled.child((key,))))
        paths.append(path)
    return paths


def upload_all(paths: Sequence[Path], artifacts: Path) -> list[str]:
    """Put models where a tracking server keeps what is uploaded to it; returns their sources."""
    with mlflow.start_run() as run:
        experiment = run.info.experiment_id
    target = artifacts / experiment / run.info.run_id / "artifacts"
    for path in paths:
        shutil.copytree(path, target / path.name)
    return [f"{run.info.artifact_uri}/{path.name}" for path in paths]


def run_of(source: str) -> str:
    """Id of the run that holds a source."""
    return source.split("/")[-3]


def register_all(names: Sequence[str], sources: Sequence[str], alias: str = "champion", **tags: str) -> None:
    """Register one model for each source."""
    client = MlflowClient()
    for name, source in zip(names, sources, strict=True):
        client.create_registered_model(name, tags={**tags, "store": name.rpartition("-")[2]})
        version = client.create_model_version(name, source, run_of(source))
        client.set_registered_model_alias(name, alias, version.version)


@dataclass
class Unkind:
    """A proxy's log, and how it treats its callers.

    Attributes
    ----------
    limit
        Requests a second above which it answers 429.
    broken_until
        Before this moment it answers 503.
    fails
        So many of the next requests it answers with 503, however long that takes.
    unavailable
        Paths that end so it answers with 503 too; "" for none.
    cut
        Every so many-th download it cuts in the middle of its body; 0 for none.
    cut_all
        Whether answers to other requests are cut too.
    ends_after
        Requests after which it answers 503 for ever; None for never.
    requests
        (moment, path, status) of every request.
    """

    url: str = ""
    limit: float = float("inf")
    broken_until: float = 0.0
    fails: int = 0
    unavailable: str = ""
    cut: int = 0
    cut_all: bool = False
    ends_after: int | None = None
    requests: list[tuple[float, str, int]] = field(default_factory=list)
    downloads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> list[tuple[float, str, int]]:
        """Requests since the last call."""
        with self.lock:
            taken, self.requests = self.requests, []
        return taken

    def decide(self, path: str) -> int:
        """Log a request, and say what becomes of it: 0 is forwarded, -1 cut, else a status."""
        now = time.monotonic()
        with self.lock:
            recent = sum(1 for moment, _, _ in self.requests if moment > now - 1)
            unavailable = bool(self.unavailable) and path.endswith(self.unavailable)
            broken = now < self.broken_until or unavailable or self._has_ended() or self.fails > 0
            self.fails = max(0, self.fails - 1)
            verdict = 429 if recent >= self.limit else 503 if broken else 0
            if not verdict and self.cut and (self.cut_all or "/artifacts/" in path):
                self.downloads += 1
                verdict = -1 if self.downloads % self.cut == 0 else 0
            self.requests.append((now, path, verdict))
        return verdict

    def _has_ended(self) -> bool:
        if self.ends_after is not None:
            self.ends_after = max(0, self.ends_after - 1)
        return self.ends_after == 0

    def busiest_second(self) -> int:
        """The most requests in any second."""
        moments = sorted(moment for moment, _, _ in self.requests)
        return max((sum(1 for other in moments if moment <= other < moment + 1) for moment in moments), default=0)


@contextlib.contextmanager
def unkind_proxy(target: str) -> Iterator[Unkind]:
    """Stand before a tracking server and be as unkind as `Unkind` says."""
    address = urlsplit(target).netloc
    unkind = Unkind()

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def forward(self) -> None:
            body = read_body(self)
            verdict = unkind.decide(urlsplit(self.path).path)
            if verdict > 0:
                self._answer(verdict, b"{}", [("Retry-After", "1")] if verdict == 429 else [])
                return
            upstream = http.client.HTTPConnection(address, timeout=60)
            upstream.request(self.command, self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            kind = [("Content-Type", answer.getheader("Content-Type", "application/json"))]
            self._answer(answer.status, content, kind, cut=verdict < 0)

        def _answer(
            self, status: int, content: bytes, headers: Sequence[tuple[str, str]], *, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            for name, value in [*headers, ("Content-Length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    class Proxy(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Write nothing: a client may be killed at any moment."""

    with Proxy((HOST, 0), Forward) as proxy:
        unkind.url = url_of(proxy)
        with answering(proxy):
            yield unkind
