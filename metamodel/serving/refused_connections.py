"""Take no new connections on a socket that listens, while those that wait there can still be accepted."""

import contextlib
import ctypes
import socket
import struct

__all__ = ["refuse_connections", "take_connections"]

# Linux's options, which Python does not name, and a filter of one instruction: of each packet, pass nothing.
_ATTACH_FILTER, _DETACH_FILTER = 26, 27

_PASS_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


def refuse_connections(listening: socket.socket) -> None:
    """Let the system drop what asks for a connection; where it cannot, nothing changes.

    What asks is sent again by its system after a second, and refused then if nobody listens any more.
    """
    instruction = ctypes.create_string_buffer(_PASS_NOTHING)
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def take_connections(listening: socket.socket) -> None:
    """Undo `refuse_connections`: of several workers that share the socket one alone may have been told to stop."""
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
