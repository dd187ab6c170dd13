"""Large bodies are read in processes of their own, so that no parser keeps the event loop from everybody else.

A JSON parser holds the interpreter from a body's first byte to its last, half a second for ten megabytes. Such a body
goes to another process, and what comes back are arrays, which are received without holding anything up.

The processes are forked when they are wanted, as copies of a first one that was forked before the worker had threads
and does nothing else. Each has limits that the system holds: bytes that it may take beyond those at its start, and
seconds for one body. Whichever goes beyond them dies, and with it that one request. All end with their worker.
"""

import contextlib
import functools
import gc
import logging
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from metamodel.serving.body_reader import BodyReader, Reading
from metamodel.serving.replies import refusal

__all__ = ["ReaderPool"]

_logger = logging.getLogger(__name__)

# Lengths of the reader, the content type (of which there may be none) and the body; number of parts of an answer.
_REQUEST = struct.Struct("!QqQ")

_COUNT = struct.Struct("!Q")

_STATUS = "/proc/self/status"

# A process that has taken so much more than at its start ends after its answer, and the memory is free again.
_KEPT_BYTES = 2**26


# Whoever asks for a row goes before whoever sends a table.
_NICENESS = 5


class ReaderPool:
    """The processes in which one worker reads large bodies; to be made before the worker starts a thread.

    Parameters
    ----------
    most
        Processes at once; whoever comes when all are at work waits.
    seconds
        What reading one body may take.
    opened_bytes
        What a body may take when it is read.
    strangers
        Sockets of the worker that the processes must not keep open.
    """

    def __init__(self, most: int, seconds: float, opened_bytes: int, strangers: Sequence[socket.socket] = ()) -> None:
        self._opened_bytes = opened_bytes
        self._places = threading.Semaphore(most)
        self._idle: list[socket.socket] = []
        self._control, theirs = socket.socketpair()
        self._first = os.fork()
        if self._first == 0:
            with _for_good():
                for stranger in (*strangers, self._control):
                    stranger.close()
                _fork_on_demand(theirs, seconds, opened_bytes)
        theirs.close()

    def read(self, reader: BodyReader, body: bytes, content_type: str | None) -> Reading:
        """Read a body elsewhere; without a process to be had, here."""
        with self._places:
            try:
                connection = self._process()
            except OSError as error:
                _logger.warning("No process reads large bodies any more (%s); they are read beside all others.", error)
                return reader.read(body, content_type)
            try:
                return self._asked(connection, reader, body, content_type)
            except (OSError, EOFError):  # it was killed: over its limits, or by somebody
                connection.close()
                limit = f"{self._opened_bytes:,} bytes and the time that a request has"
                fact = f"The body could not be read within the limits of this server ({limit})."
                return Reading(None, refusal(413, "BAD_REQUEST", f"{fact} Send the rows in parts."))

    def close(self) -> None:
        """Let the processes end."""
        self._control.close()
        while self._idle:
            self._idle.pop().close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._first, 0)

    def _process(self) -> socket.socket:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was sooner
                return self._idle.pop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"."], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours

    def _asked(self, connection: socket.socket, reader: BodyReader, body: bytes, content_type: str | None) -> Reading:
        kind = b"" if content_type is None else content_type.encode("latin-1")
        length = -1 if content_type is None else len(kind)
        connection.sendall(_REQUEST.pack(len(reader.pickled), length, len(body)) + reader.pickled + kind)
        connection.sendall(body)
        stays, main, *buffers = _received_parts(connection)
        if stays:
            self._idle.append(connection)
        else:
            connection.close()
        reading: Reading = pickle.loads(main, buffers=buffers)
        return reading


@contextlib.contextmanager
def _for_good() -> Iterator[None]:
    """End the process after the block, without what the parent process wants to do at its own exit."""
    try:
        # A signal to the whole group is the worker's affair: it finishes what is under way.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        yield
    except Exception as error:  # noqa: BLE001 - whoever asked sees that the connection is closed
        _logger.warning("A process that reads bodies ended with a %s.", type(error).__name__)
    finally:
        os._exit(0)


def _fork_on_demand(control: socket.socket, seconds: float, opened_bytes: int) -> None:
    """Fork a reading process for each connection that comes, until there is no worker any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        with socket.socket(fileno=descriptors[0]) as connection:
            if os.fork() == 0:
                with _for_good():
                    control.close()
                    _read_for_worker(connection, seconds, opened_bytes)


def _read_for_worker(connection: socket.socket, seconds: float, opened_bytes: int) -> None:
    """Read one body after the other, until there is no worker any more, or much memory has been taken."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it is at
    gc.disable()  # parsers make millions of objects and no cycles
    os.nice(_NICENESS)
    taken = _taken_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)  # nobody may raise it
    limit = taken + opened_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    stays = True
    while stays and (head := _received(connection, _REQUEST.size, or_end=True)):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        reader_length, kind_length, body_length = _REQUEST.unpack(head)
        reader = _reader(bytes(_received(connection, reader_length)))
        kind = bytes(_received(connection, max(kind_length, 0))).decode("latin-1") if kind_length >= 0 else None
        buffers: list[pickle.PickleBuffer] = []
        reading = reader.read(bytes(_received(connection, body_length)), kind)
        main = pickle.dumps(reading, protocol=5, buffer_callback=buffers.append)
        del reading
        stays = _taken_bytes() - taken < _KEPT_BYTES
        _send_parts(connection, [b"1" if stays else b"", main, *(buffer.raw() for buffer in buffers)])
        signal.setitimer(signal.ITIMER_REAL, 0)


@functools.lru_cache(maxsize=1)
def _reader(pickled: bytes) -> BodyReader:
    reader: BodyReader = pickle.loads(pickled)
    return reader


def _taken_bytes() -> int:
    """Read how much memory this process may write that no file is behind: what the system counts for `RLIMIT_DATA`.

    Where the system has no such count (macOS) it is the most that this process has ever had in memory.
    """
    try:
        with open(_STATUS, encoding="ascii", errors="replace") as status:
            kilobytes = next(line.split()[1] for line in status if line.startswith("VmData"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return int(kilobytes) * 1024


def _send_parts(connection: socket.socket, parts: Sequence[Any]) -> None:
    lengths: Iterable[bytes] = (_COUNT.pack(memoryview(part).nbytes) for part in parts)
    connection.sendall(_COUNT.pack(len(parts)) + b"".join(lengths))
    for part in parts:
        connection.sendall(part)


def _received_parts(connection: socket.socket) -> list[bytearray]:
    (number,) = _COUNT.unpack(_received(connection, _COUNT.size))
    lengths = struct.unpack(f"!{number}Q", _received(connection, number * _COUNT.size))
    return [_received(connection, length) for length in lengths]


def _received(connection: socket.socket, length: int, *, or_end: bool = False) -> bytearray:
    """Receive so many bytes; nothing where the connection ends before the first and may."""
    data = bytearray(length)
    view, done = memoryview(data), 0
    while done < length:
        received = connection.recv_into(view[done:], min(length - done, 2**20))
        if not received:
            if or_end and not done:
                return bytearray()
            raise EOFError
        done += received
    return data
