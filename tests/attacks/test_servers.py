"""Attacks on the connections of `metamodel serve`: heads without an end, pipelines, workers that are killed."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from servers import Server, metamodel_server

pytestmark = [pytest.mark.attack, pytest.mark.server]

PING = b"GET /ping HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture(scope="module")
def server(served_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with metamodel_server(served_bundle, tmp_path_factory.mktemp("connections")) as server:
        yield server


def _connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=120)


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


def _sent_until_refused(connection: socket.socket, start: bytes, part: bytes, most: int) -> int:
    """Send a start and then the same part over and over; returns how many bytes went."""
    connection.sendall(start)
    sent = len(start)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < most:
            connection.sendall(part)
            sent += len(part)
    return sent


def _megabytes(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /ping HTTP/1.1\r\n" + b"X: a\r\n" * 12_000 + b"\r\n",
    ],
    ids=["target", "one header", "many headers"],
)
def test_a_head_that_is_too_large_is_refused_with_431(server: Server, head: bytes) -> None:
    with _connect(server) as connection:
        connection.sendall(head)
        assert _all_of(connection).startswith(b"HTTP/1.1 431 ")


def test_a_head_of_ordinary_size_is_taken(server: Server) -> None:
    assert requests.get(f"{server.url}/ping", headers={"X": "a" * 30_000}, timeout=60).status_code == 200


@pytest.mark.parametrize("start", [b"GET /", b"GET /ping HTTP/1.1\r\nX: "], ids=["target", "header"])
def test_a_head_without_an_end_is_cut_off_early(server: Server, start: bytes) -> None:
    with _connect(server) as connection:
        sent = _sent_until_refused(connection, start, b"a" * 65_536, 80_000_000)
    assert sent < 20_000_000
    assert requests.get(f"{server.url}/ping", timeout=60).status_code == 200


@pytest.mark.parametrize(
    "begun", [b"", b"\r\n", b"GET /pi", PING + b"GET /pi"], ids=["no byte", "blank", "part", "second"]
)
def test_a_head_that_does_not_come_ends_its_connection(server: Server, begun: bytes) -> None:
    with _connect(server) as connection:
        started = time.monotonic()
        connection.sendall(begun)
        _all_of(connection)
        assert time.monotonic() - started < 90  # the ten seconds of a head, were it not for a busy machine


def test_a_long_pipeline_takes_no_memory_and_nobody_waits_for_it(server: Server) -> None:
    before = _megabytes(server.process.pid)
    with _connect(server) as connection:
        _sent_until_refused(connection, PING, PING * 2000, 5_000_000)
        assert requests.get(f"{server.url}/ping", timeout=60).status_code == 200
    assert _megabytes(server.process.pid) - before < 50


def test_a_short_pipeline_is_answered_in_full(server: Server) -> None:
    with _connect(server) as connection:
        connection.sendall(PING * 20 + b"GET /ping HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert _all_of(connection).count(b"HTTP/1.1 200 ") == 21


def test_a_young_worker_that_is_killed_again_and_again_does_not_end_the_others(
    served_bundle: Path, tmp_path: Path
) -> None:
    with metamodel_server(served_bundle, tmp_path, workers=2) as server:
        first, second = server.children
        time.sleep(6)  # the first one has served by now; younger than 5 s the watcher takes none for proven
        victim = second
        for _ in range(6):
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 120
            while not (young := set(server.children) - {first, victim}):
                assert time.monotonic() < deadline, server.log
                time.sleep(0.05)
            (victim,) = young
        assert first in server.children
        assert requests.get(f"{server.url}/ping", timeout=60).status_code == 200
