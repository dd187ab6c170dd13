"""A socket that takes no new connections still has those that wait to be accepted, and may take new ones again."""

import ctypes
import socket
import struct
import sys

import pytest

from metamodel.serving.refused_connections import refuse_connections, take_connections

pytestmark = [
    pytest.mark.tableless,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can filter what asks for a connection"),
]

# Linux's options for filters of what a socket receives.
ATTACH, DETACH = 26, 27


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
        socket.create_connection(address, timeout=60).close()


def test_a_connection_that_was_being_made_is_made() -> None:
    """The client gets the server's answer to its SYN only when the server takes no more of them."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        listening.settimeout(60)
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
        client.setsockopt(socket.SOL_SOCKET, ATTACH, struct.pack("HP", 1, ctypes.addressof(nothing)))
        client.setblocking(False)
        assert client.connect_ex(listening.getsockname())
        refuse_connections(listening)
        client.setsockopt(socket.SOL_SOCKET, DETACH, 0)
        client.settimeout(60)
        accepted, address = listening.accept()
        with accepted:
            assert address == client.getsockname()
            client.sendall(b"a request")
            assert accepted.recv(100) == b"a request"
