"""Take no new connections on a socket that listens, while those that are made, or being made, can still be accepted."""

import contextlib
import ctypes
import socket
import struct
import sys

__all__ = ["refuse_connections", "take_connections"]

# Linux's options, which Python does not name.
_ATTACH_FILTER, _DETACH_FILTER = 26, 27

# A filter of TCP segments: load the byte with the flags; where it has SYN, pass nothing, else all. Whoever has sent its
# SYN before, and takes its connection for made, is let in still: it has perhaps sent its request.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x45, 0, 1, 0x02),  # has it the bit of SYN? else skip one
    (0x06, 0, 0, 0),  # pass nothing
    (0x06, 0, 0, 0xFFFFFFFF),  # pass all
)


def refuse_connections(listening: socket.socket) -> None:
    """Let the system drop what asks for a connection; where it cannot, nothing changes.

    What asks is sent again by its system after a second, and refused then if nobody listens any more.
    """
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
    program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(instructions))
    _set(listening, _ATTACH_FILTER, program)


def take_connections(listening: socket.socket) -> None:
    """Undo `refuse_connections`: of several workers that share the socket one alone may have been told to stop."""
    _set(listening, _DETACH_FILTER, 0)


def _set(listening: socket.socket, option: int, value: bytes | int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.SOL_SOCKET, option, value)
