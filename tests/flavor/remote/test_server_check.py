"""A tracking server that is not there, or not MLflow's, is told before MLflow asks it: every kind, on real sockets."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator

import mlflow
import pytest
import servers

from metamodel.exceptions import InputError, TrackingServerUnavailable
from metamodel.flavor.remote import server_check
from metamodel.flavor.remote.server_check import SECONDS_VARIABLE, check_tracking_server, server_problem

# A bound for what takes half a second; whoever waits for MLflow's own retries waits for minutes.
LONGEST = 90.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers has time to, on the busiest machine; and is asked again at once."""
    monkeypatch.setenv(SECONDS_VARIABLE, "60")
    monkeypatch.setattr(server_check, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def hurried(_patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, the time is waited to its end."""
    monkeypatch.setenv(SECONDS_VARIABLE, "0.5")


@contextlib.contextmanager
def listening(backlog: int = 8) -> Iterator[tuple[str, int]]:
    """Take connections, and never a byte of what is sent through them: what a stopped process does."""
    with socket.socket() as listener:
        listener.bind((servers.HOST, 0))
        listener.listen(backlog)
        yield listener.getsockname()


@contextlib.contextmanager
def full() -> Iterator[tuple[str, int]]:
    """An address at which the kernel drops further connections without a word, as a firewall does."""
    with listening(backlog=0) as address, contextlib.ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


@contextlib.contextmanager
def answering(status: int, body: bytes = b"", content_type: str = "text/html", drip: float = 0.0) -> Iterator[str]:
    """A server that gives one answer to whatever is asked, byte by byte where it is said so."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            servers.read_body(self)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    ended.wait(drip)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    ended = threading.Event()
    with http.server.ThreadingHTTPServer((servers.HOST, 0), Answer) as server:
        server.daemon_threads = True
        with servers.answering(server):
            yield servers.url_of(server)
            ended.set()


def problem_of(uri: str) -> str:
    began = time.monotonic()
    problem = server_problem(uri)
    assert time.monotonic() - began < LONGEST
    assert "\n" not in problem
    return problem


def test_nobody_listens() -> None:
    problem = problem_of(f"http://127.0.0.1:{servers.free_port()}")
    assert problem == "cannot be reached ([Errno 111] Connection refused). Start it, or correct MLFLOW_TRACKING_URI."


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("silent", [listening, full])
def test_nobody_answers(silent: Callable[[], contextlib.AbstractContextManager[tuple[str, int]]]) -> None:
    with silent() as (host, port):
        problem = problem_of(f"http://{host}:{port}")
    assert problem.startswith("has not answered within 0.5 s. Start it, or correct MLFLOW_TRACKING_URI.")
    assert problem.endswith("For one that is slow set METAMODEL_SERVER_SECONDS.")


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_comes_byte_by_byte_is_none() -> None:
    with answering(200, b"{}" + b" " * 10_000, "application/json", drip=0.05) as uri:
        assert problem_of(uri).startswith("has not answered within 0.5 s.")


@pytest.mark.usefixtures("hurried")
def test_a_name_that_leads_nowhere() -> None:
    assert problem_of("http://nobody.invalid:5000").startswith(("cannot be reached (", "has not answered"))


def test_the_wrong_scheme_is_told() -> None:
    with answering(200) as uri:
        problem = problem_of(uri.replace("http://", "https://"))
    assert problem.startswith("cannot be reached (")
    assert "Correct http:// or https:// in its URI" in problem


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_are_told(status: int) -> None:
    with answering(status) as uri:
        problem = problem_of(uri)
    assert problem.startswith(f"refuses these credentials ({status} ")
    assert "MLFLOW_TRACKING_TOKEN" in problem


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_fails_is_told(status: int) -> None:
    with answering(status) as uri:
        assert problem_of(uri).startswith(f"fails ({status} ")


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, b"<html>Sign in</html>", "text/html"),
        (404, b"", "text/html"),
        (404, b'{"detail": "Not Found"}', "application/json"),
        (200, b'{"ok": true}', "application/json"),
    ],
)
def test_whoever_else_answers_is_no_tracking_server(status: int, body: bytes, content_type: str) -> None:
    with answering(status, body, content_type) as uri:
        assert problem_of(uri).startswith(f"is none of MLflow's ({status} ")


def test_a_server_that_asks_for_patience_is_there() -> None:
    with answering(429) as uri:
        assert problem_of(uri) == ""


@pytest.mark.server
def test_a_server_of_mlflows_is_there(tracking: servers.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, "60")
    assert server_problem(tracking.url) == ""


def test_a_store_without_a_server_is_not_asked() -> None:
    assert server_problem("sqlite:////nowhere/none.db") == ""


def test_the_line_names_the_server_without_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    port = servers.free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
    with pytest.raises(TrackingServerUnavailable, match=rf"server http://\*\*\*@127.0.0.1:{port} cannot be reached"):
        check_tracking_server()


def test_a_registry_of_its_own_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    port = servers.free_port()
    monkeypatch.setattr(mlflow, "get_registry_uri", lambda: f"http://127.0.0.1:{port}")
    with pytest.raises(TrackingServerUnavailable, match=f"127.0.0.1:{port} cannot be reached"):
        check_tracking_server()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, text)
    with pytest.raises(InputError, match=f"METAMODEL_SERVER_SECONDS='{text}' is no number of seconds"):
        server_problem("http://127.0.0.1:9")
