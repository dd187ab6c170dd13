"""SIGTERM while clients connect without a pause: whoever was connected is answered, whoever was not goes elsewhere."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import Server, metamodel_server
from serving import JSON

pytestmark = [pytest.mark.attack, pytest.mark.server]

# However long this machine keeps a client from sending what it connected for; the real grace is half a second.
PATIENT = "from metamodel.serving import head_limits\nhead_limits.FIRST_SECONDS = 60"

BODY = b'{"dataframe_records":[{"country":"FR","store":1,"price":0.5}]}'

REQUEST = b"POST /invocations HTTP/1.1\r\nHost: here\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
    JSON.encode(),
    len(BODY),
    BODY,
)


def _connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60)


def _outcome(connection: socket.socket) -> str:
    """Read an answer: its status, or how the connection ended before it."""
    received = b""
    try:
        while b'"status":"child"}]}' not in received:
            part = connection.recv(65_536)
            if not part:
                return "closed"
            received += part
    except OSError as error:
        return type(error).__name__
    return received[9:12].decode()


def _wait_until_nobody_listens(server: Server, processes: Sequence[int]) -> None:
    """Wait until these processes have closed the socket that listens."""
    port = f":{urlsplit(server.url).port:04X} "
    (line,) = (line for line in Path("/proc/net/tcp").read_text().splitlines() if port in line and " 0A " in line)
    listening = f"socket:[{line.split()[9]}]"
    deadline = time.monotonic() + 60
    while any(listening in _open_files(process) for process in processes):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.01)


def _open_files(process: int) -> set[str]:
    """List what a process has open; one that has ended, as a worker without a connection does, has nothing."""
    names = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                names.add(os.readlink(link))
    return names


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_of_a_connection_that_was_made_fails_under_load(
    served_bundle: Path, tmp_path: Path, workers: int
) -> None:
    outcomes: Counter[str] = Counter()
    under_way = threading.Event()

    def ask(server: Server) -> None:
        """Ask on a new connection each time, until there are no more."""
        while True:
            try:
                connection = _connect(server)
            except OSError:
                outcomes["not connected"] += 1
                return
            with connection:
                connection.sendall(REQUEST)
                outcomes[_outcome(connection)] += 1
            if outcomes["200"] > 200:
                under_way.set()

    with metamodel_server(served_bundle, tmp_path, workers, before=PATIENT, drain=0.3) as server:
        with ThreadPoolExecutor(8) as clients:
            asking = [clients.submit(ask, server) for _ in range(8)]
            assert under_way.wait(120)
            os.kill(server.process.pid, signal.SIGTERM)
            for client in asking:
                client.result(120)
        assert server.process.wait(60) == 0
    assert outcomes.keys() == {"200", "not connected"}
    assert outcomes["not connected"] == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_who_waits_to_be_accepted_when_the_server_stops_is_answered(
    served_bundle: Path, tmp_path: Path, workers: int
) -> None:
    """The workers are held still while clients connect; half of them send a request when nobody listens any more."""
    with (
        metamodel_server(served_bundle, tmp_path, workers, before=PATIENT, drain=0) as server,
        contextlib.ExitStack() as open_connections,
    ):
        answering = [server.process.pid] if workers == 1 else server.children
        _signal(answering, signal.SIGSTOP)
        connections = [open_connections.enter_context(_connect(server)) for _ in range(60)]
        for connection in connections[::2]:
            connection.sendall(REQUEST)
        os.kill(server.process.pid, signal.SIGTERM)
        _signal(answering, signal.SIGCONT)
        sooner = Counter(map(_outcome, connections[::2]))
        _wait_until_nobody_listens(server, answering)
        for connection in connections[1::2]:
            connection.sendall(REQUEST)
        later = Counter(map(_outcome, connections[1::2]))
        open_connections.close()
        assert server.process.wait(60) == 0
    assert (sooner, later) == ({"200": 30}, {"200": 30})
