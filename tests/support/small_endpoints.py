"""Small scoring servers in this process, for children that are asked over HTTP."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pandas as pd
from servers import HOST

import metamodel

LOCAL = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=60)  # a busy machine is slow, not gone

# For endpoints that never answer.
HASTY = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=1.5)


Behaviour = Callable[[list[list[Any]]], tuple[int, Any]]


class Endpoint:
    """A small scoring server: x times its factor, after some time, or whatever else `answer` says."""

    def __init__(self, factor: float = 1.0, seconds: float = 0.0, answer: Behaviour | None = None) -> None:
        self.requests = self.gets = 0
        self.factor, self.seconds, self.answer = factor, seconds, answer
        self.headers: dict[str, str] = {}
        self.authorizations: list[str | None] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                endpoint.gets += 1
                self._send(200, b"")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests += 1
                endpoint.authorizations.append(self.headers.get("Authorization"))
                time.sleep(endpoint.seconds)
                with contextlib.suppress(OSError):  # the caller may be gone
                    self._send(*endpoint.respond(body["dataframe_split"]))

            def _send(self, status: int, content: bytes) -> None:
                self.send_response_only(status)
                for name, value in {**endpoint.headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://{HOST}:{self._server.server_address[1]}/invocations"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def respond(self, split: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        if self.answer is not None:
            status, content = self.answer(split["data"])
            return status, json.dumps(content).encode()
        x = split["columns"].index("x")
        return 200, json.dumps({"predictions": [row[x] * self.factor for row in split["data"]]}).encode()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


def feature_rows(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"x": values, "z": 0.0})
