"""What goes to stderr when nobody takes it: a disk that is full, a reader that has gone, or one that does not read.

Progress and messages are not worth the work that they tell of: a training goes on, and a server answers.
"""

import contextlib
import io
import os
import select
import stat
import sys
from typing import Any

__all__ = ["error_stream", "forgive_stderr"]

_STDERR = 2


def forgive_stderr(*, wait: bool) -> None:
    """Let nothing that is written to this process's stderr fail.

    Where `sys.stderr` is not the process's own (in tests, in notebooks) nothing changes. A stderr that was closed
    before the process started is opened on nothing: the next file would get its number, and what libraries write there.

    Parameters
    ----------
    wait
        Whether to wait for a reader that does not read; else what it has no room for is lost.
    """
    now = sys.stderr
    if now is None:
        _open_on_nothing(_STDERR)
    elif now is not sys.__stderr__ and not isinstance(now.buffer, _Forgiving):
        return
    sys.stderr = error_stream(_STDERR, wait=wait, encoding=getattr(now, "encoding", None) or "utf-8")


def error_stream(descriptor: int, *, wait: bool, encoding: str = "utf-8") -> io.TextIOWrapper:
    """Open a text stream on an open file, of which no write fails."""
    # A raw file is all that the text's wrapper needs where it keeps nothing back.
    forgiving: Any = _Forgiving(descriptor, wait=wait)
    return io.TextIOWrapper(
        forgiving, encoding=encoding, errors="backslashreplace", line_buffering=True, write_through=True
    )


class _Forgiving(io.RawIOBase):
    """Writes what can be written."""

    def __init__(self, descriptor: int, *, wait: bool) -> None:
        self._descriptor = descriptor
        # A file of its own: the number may be another's later.
        self._mine = os.dup(descriptor) if wait else _opened_again(descriptor)
        self._room: select.poll | None = None
        if not wait:
            self._room = select.poll()
            self._room.register(self._mine, select.POLLOUT)

    def fileno(self) -> int:
        """Name the file."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write the bytes, or as many as are taken."""
        with contextlib.suppress(OSError):
            left = bytes(data)
            while left and self._has_room():
                # No more at once than what has room by what the system says, if the file waits for it.
                left = left[os.write(self._mine, left[: select.PIPE_BUF]) :]
        return len(data)

    def close(self) -> None:
        """Close the file of its own alone."""
        if not self.closed:
            os.close(self._mine)
        super().close()

    def _has_room(self) -> bool:
        return self._room is None or any(event & select.POLLOUT for _, event in self._room.poll(0))


def _opened_again(descriptor: int) -> int:
    """Open a pipe or a terminal so that no write waits, and those of others to the same file still do.

    Sockets cannot be opened again, and other users' pipes may not: of these the room is asked for alone.
    """
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
        with contextlib.suppress(OSError):
            return os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(descriptor)


def _open_on_nothing(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        if nothing != descriptor:
            os.dup2(nothing, descriptor)
            os.close(nothing)
