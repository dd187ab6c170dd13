"""A socket that takes no new connections still has those that wait to be accepted, and may take new ones again."""

import socket

import pytest

from metamodel.serving.refused_connections import refuse_connections, take_connections

pytestmark = pytest.mark.tableless


def test_who_waits_is_accepted_and_nobody_else_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as sooner:
            refuse_connections(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            accepted, _ = listening.accept()
            with accepted:
                sooner.sendall(b"a request")
                assert accepted.recv(100) == b"a request"
        take_connections(listening)
        socket.create_connection(address, timeout=30).close()
