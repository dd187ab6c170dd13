"""A tracking server that is not there is told before the work."""

import http.server
import threading
from collections.abc import Iterator

import mlflow
import pytest
import servers

from metamodel.exceptions import InputError
from metamodel.tracking import server_check as reaching
from metamodel.tracking.server_check import check_tracking_server

pytestmark = pytest.mark.tableless


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that answers 401 to whatever is asked."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def tracking(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reaching, "_PAUSE_SECONDS", 0.0)
    yield
    mlflow.set_tracking_uri(tracking_uri)


def test_nobody_listens() -> None:
    port = servers.free_port()
    mlflow.set_tracking_uri(f"http://user:secret@127.0.0.1:{port}")

    with pytest.raises(
        InputError,
        match=rf"server http://\*\*\*@127.0.0.1:{port} cannot be reached \(.*Connection refused\)\. Start it",
    ):
        check_tracking_server()


def test_whoever_answers_will_do(refusing: str) -> None:
    mlflow.set_tracking_uri(refusing)
    assert check_tracking_server() is None


def test_a_store_without_a_server_is_not_asked(tmp_path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/none.db")
    assert check_tracking_server() is None
