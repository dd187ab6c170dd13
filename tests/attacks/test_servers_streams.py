"""Servers whose stderr nobody takes: full, closed, a pipe whose reader has gone, and one whose reader sleeps."""

import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import Server, metamodel_server, wait_for_workers
from serving import JSON, post

pytestmark = [pytest.mark.attack, pytest.mark.server]

BODY = '{"dataframe_records":[{"country":"FR","store":1,"price":0.5}]}'

# Each of them is a line of 37 bytes in the log; all together are more than such a pipe holds.
NO_REQUESTS = 500

PIPE_BYTES = 16_384


@contextlib.contextmanager
def _pipe(path: Path) -> Iterator[FileIO]:
    os.mkfifo(path)
    with FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as reading:
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        yield reading


def _make_noise(server: Server) -> None:
    address = urlsplit(server.url)
    for _ in range(NO_REQUESTS):
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
            connection.sendall(b"no request\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def _kill_a_worker(server: Server) -> None:
    """Let the process that watches over the workers say so."""
    victim, _ = server.children
    os.kill(victim, signal.SIGKILL)
    wait_for_workers(server, 2, gone=victim)


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "a reader that goes", "a reader that sleeps"])
def test_a_server_answers_on_whatever_becomes_of_its_stderr(served_bundle: Path, tmp_path: Path, stderr: str) -> None:
    path = tmp_path / "stderr"
    with _pipe(path) as reading:
        leads = stderr if stderr.startswith("2>") else f"2>{path}"
        with metamodel_server(served_bundle, tmp_path, 2, stderr=leads) as server:
            if stderr == "a reader that goes":
                reading.close()
            _make_noise(server)
            _kill_a_worker(server)
            _make_noise(server)
            answer = post(server, BODY, JSON)
            assert (answer.status_code, answer.json()["predictions"][0]["status"]) == (200, "child")
            os.kill(server.process.pid, signal.SIGTERM)
            assert server.process.wait(60) == 0
        if stderr == "a reader that sleeps":
            os.set_blocking(reading.fileno(), True)
            said = reading.readall()
            assert said.startswith(b"Serving ")
            assert PIPE_BYTES / 2 < len(said) <= PIPE_BYTES
