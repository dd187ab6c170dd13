"""Forty endpoints that answer as no server should, behind one model, beside one that answers as it should."""

import gzip
import json
import resource
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from servers import HOST

import metamodel
from metamodel.flavor.remote import endpoint as endpoints
from metamodel.tracking.references.reference_model import write_references

ZEROS = gzip.compress(b"0" * 2**26, 9)

OK = b"HTTP/1.1 200 OK\r\n"


def sized(body: bytes, status: bytes = b"200 OK", *headers: bytes) -> list[bytes]:
    return [b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body])]


def predicted(text: str) -> list[bytes]:
    return sized(b'{"predictions": ' + text.encode() + b"}")


# What each sends, piece by piece: "slowly" one every tenth of a second, "for ever" the last one again and again.
ANSWERS: dict[str, list[Any]] = {
    "nothing, and closes": [],
    "nothing, and stays": ["stays"],
    "no HTTP": [b"\x00\xff" * 100],
    "HTTP/0.9": [b"hello\r\n"],
    "a status that is none": [b"HTTP/1.1 abc\r\n\r\n"],
    "a status of four digits": [b"HTTP/1.1 9999 Odd\r\n\r\n"],
    "a head that comes in drops": ["slowly", b"HTTP/1.1 200 OK\r\nX: ", *[b"a"] * 100],
    "a header of ten megabytes": [OK + b"X: ", b"a" * 10**7],
    "a thousand headers": [OK + b"".join(b"X-%d: 1\r\n" % i for i in range(1000)) + b"\r\n"],
    "headers without end": [OK, "for ever", b"X: 1\r\n" * 1000],
    "100 Continue without end": ["for ever", b"HTTP/1.1 100 Continue\r\n\r\n"],
    "a body that comes in drops": ["slowly", OK + b"Content-Length: 100\r\n\r\n", *[b" "] * 100],
    "a body without end": [OK + b"\r\n", "for ever", b" " * 10**5],
    "less than it says": [OK + b"Content-Length: 1000\r\n\r\n{"],
    "a negative length": [OK + b"Content-Length: -5\r\n\r\n{}"],
    "two lengths": [OK + b"Content-Length: 2\r\nContent-Length: 99\r\n\r\n{}"],
    "a length that is none": [OK + b"Content-Length: many\r\n\r\n{}"],
    "a chunk whose size is none": [OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
    "a chunk of terabytes": [OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "for ever", b" " * 10**5],
    "chunks without end": [OK + b"Transfer-Encoding: chunked\r\n\r\n", "for ever", b"5\r\n     \r\n" * 1000],
    "a bomb": sized(ZEROS, b"200 OK", b"Content-Encoding: gzip"),
    "a bomb in a bomb": sized(gzip.compress(ZEROS), b"200 OK", b"Content-Encoding: gzip, gzip"),
    "half an archive": sized(ZEROS[: len(ZEROS) // 2], b"200 OK", b"Content-Encoding: gzip"),
    "an archive that is none": sized(b"{}", b"200 OK", b"Content-Encoding: deflate"),
    "a way to itself": sized(b"", b"307 Moved", b"Location: /invocations"),
    "a way to a file": sized(b"", b"302 Moved", b"Location: file:///etc/passwd"),
    "a way to a metadata service": sized(b"", b"302 Moved", b"Location: http://169.254.169.254/latest/meta-data"),
    "401": sized(b"", b"401 Unauthorized", b'WWW-Authenticate: Basic realm="x"'),
    "500 with a page": sized(b"<html>" * 1000, b"500 Error"),
    "503, come back in years": sized(b"", b"503 Busy", b"Retry-After: 999999999"),
    "429, come back before": sized(b"", b"429 Slow down", b"Retry-After: -5"),
    "429, come back some day": sized(b"", b"429 Slow down", b"Retry-After: Foo, 99 Bar 99999"),
    "101": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
    "no JSON": sized(b"<html></html>"),
    "no UTF-8": sized(b'{"predictions": ["\xff"]}'),
    "JSON nested a thousand times": sized(b"[" * 1000 + b"]" * 1000),
    "too few predictions": predicted("[]"),
    "too many predictions": predicted("[1, 2, 3, 4, 5]"),
    "a number of 5,000 digits": predicted("[" + "9" * 5000 + "]"),
    "a prediction in a record in a list": predicted('[[{"a": [{"b": 1}]}]]'),
    "a 400 about nothing": sized(b"{" * 1000, b"400 Bad Request"),
}


class _Answer(socketserver.BaseRequestHandler):
    """Sends what its path asks for."""

    def handle(self) -> None:
        with suppress(OSError):  # the caller gives up
            head = self.request.recv(2**16)
            path = head.split(b" ")[1].decode()
            if path.endswith("/ping"):
                self.request.sendall(sized(b"")[0])
            elif path.startswith("/fine"):
                self.request.sendall(predicted("[7.0]")[0])
            else:
                self.send(list(ANSWERS.values())[int(path.split("/")[1])])

    def send(self, pieces: list[Any]) -> None:
        pause, repeats = 0.0, False
        stopped: threading.Event = self.server.stopped  # type: ignore[attr-defined]
        for piece in pieces:
            if piece == "stays":
                stopped.wait(120)
            elif piece == "slowly":
                pause = 0.1
            elif piece == "for ever":
                repeats = True
            else:
                self.request.sendall(piece)
                while repeats and not stopped.is_set():
                    self.request.sendall(piece)
                stopped.wait(pause)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who closes is the caller."""


@pytest.fixture
def url() -> Iterator[str]:
    with _Server((HOST, 0), _Answer) as server:
        server.stopped = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.stopped.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


@pytest.mark.timeout(300)
def test_hostile_endpoints_fail_alone_in_time_and_in_one_line(url: str, tmp_path: Path) -> None:
    assert len(ANSWERS) >= 40
    endpoints._forget()
    names = [*ANSWERS, "fine"]
    uris = [f"{url}/{number}/invocations" for number in range(len(ANSWERS))] + [f"{url}/fine/invocations"]
    children = pd.DataFrame({"name": names, "uri": uris})
    rows = pd.DataFrame({"name": names, "x": 1.0})
    settings = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=20)
    model = metamodel.load_model(write_references(tmp_path / "b", children, rows, "name", "y", settings=settings))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    answers = model.predict(rows, {"detail": True})
    took = time.monotonic() - began
    assert dict(zip(names, answers["status"], strict=True)) == {**dict.fromkeys(ANSWERS, "failed"), "fine": "child"}
    assert answers["prediction"].iloc[-1] == 7.0
    told = answers["error"].iloc[:-1]
    assert not [text for text in told if "\n" in text or "Traceback" in text or len(text) > 500]
    assert took < 60  # one deadline, were it not for a busy machine
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    endpoints._forget()


def test_what_is_sent_is_what_its_name_says() -> None:
    """The bombs open, and the sound answer is one."""
    assert len(gzip.decompress(ZEROS)) == 2**26
    assert json.loads(predicted("[7.0]")[0].partition(b"\r\n\r\n")[2]) == {"predictions": [7.0]}
