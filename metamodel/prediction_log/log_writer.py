"""A process's own part of the log: a bounded queue, and one thread that writes it away.

Whoever answers only puts rows into the queue. Where it is full, as when the disk is slow, full or gone, rows are
dropped and counted; nothing waits, and nothing is raised.
"""

import logging
import math
import threading
import time
from collections import deque
from typing import NamedTuple

import pyarrow as pa

from metamodel.common.fork_lock import ForkLock
from metamodel.common.messages import count, error_text
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.counted_rows import without_features, write_counted
from metamodel.prediction_log.gathered_rows import GatheredRows, gathered_size, has_features
from metamodel.prediction_log.log_files import write_new_file
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_tables import gathered_table, log_table

__all__ = ["LogCounts", "PredictionLog"]

_logger = logging.getLogger(__name__)

# A file is written as soon as it is so many rows, or its first row so old.
FILE_ROWS = 10_000

FILE_SECONDS = 10.0

# ... and while the server drains.
_DRAIN_SECONDS = 0.2

# What may wait, gathered or as tables.
_QUEUE_BYTES = 64 * 2**20

# The thread reads so many calls at a time, and makes tables of so many; in between it pauses, because it takes the
# interpreter from the answers.
_READ_AT_ONCE = 32

_MADE_AT_ONCE = 2000

_PAUSE_SECONDS = 0.002

# A larger call is made into a table at once, by whoever answers it: only sampled rows take room then.
_LARGE_ROWS = 256


class LogCounts(NamedTuple):
    """What became of the rows that were to be logged.

    Attributes
    ----------
    written
        Rows in files.
    dropped
        Rows that are lost: no room in the queue, or the file could not be written.
    """

    written: int
    dropped: int


class _Waiting(NamedTuple):
    rows: AnsweredRows
    since: float
    size: int  # bytes, about


class _LoggedTable(NamedTuple):
    model: LoggedModel
    table: pa.Table
    size: int  # bytes


class PredictionLog:
    """Logs what one process answers; safe to share between threads, and to hold while the process forks.

    A forked process begins with an empty queue: what is in it is the parent's, who writes it.

    Parameters
    ----------
    settings
        What is logged, and where.
    seconds
        How old a row may become in the queue.
    """

    def __init__(self, settings: LogSettings, seconds: float = FILE_SECONDS) -> None:
        self.settings = settings
        self._seconds = seconds
        self._lock = ForkLock(self._forget)
        self._forget()

    def _forget(self) -> None:
        """Begin with nothing, as a forked process does."""
        self._queue: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._tables: list[_LoggedTable] = []
        self._bytes = 0  # of both
        self._since: float | None = None  # when the first of these rows came
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closed = False
        self._written = self._dropped = 0
        self._complaint = ""

    def make_folder(self) -> None:
        """Make the log's folder; where that fails, rows are dropped until somebody has made it."""
        try:
            self.settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._drop(0, error)

    @property
    def counts(self) -> LogCounts:
        """What became of this process's rows."""
        with self._lock:
            return LogCounts(self._written, self._dropped)

    def put(self, rows: AnsweredRows) -> None:
        """Take rows over, or drop them; never waits for a disk, and never raises."""
        try:
            self._put(rows)
        except Exception as error:  # noqa: BLE001 - the answer goes out whatever becomes of the log
            self._drop(len(rows), error)

    def _put(self, rows: AnsweredRows) -> None:
        if not len(rows):
            return
        is_large = len(rows) > _LARGE_ROWS and rows.answers.shadow is None
        table = log_table([rows], self.settings) if is_large else None
        with self._lock:
            if self._closed:
                self._dropped += len(rows) if table is None else table.num_rows
            elif table is None:
                self._append(rows)
            else:
                self._keep(rows.model, table)
            if self._since is None and (self._queue or self._tables):  # the thread sleeps
                self._since = time.monotonic()
                self._wake.set()
            elif self._is_full():
                self._wake.set()
            if self._thread is None and self._since is not None:
                self._thread = threading.Thread(target=self._work, name="metamodel-log", daemon=True)
                self._thread.start()

    def _append(self, rows: AnsweredRows) -> None:
        """Put a call into the queue, if there is room."""
        size = gathered_size(rows)
        if size > _QUEUE_BYTES - self._bytes:
            self._dropped += len(rows)
            return
        self._queue.append(_Waiting(rows, time.monotonic(), size))
        self._bytes += size
        self._waiting_rows += len(rows)

    def _keep(self, model: LoggedModel, table: pa.Table) -> None:
        """Keep those rows of a table for which there is room; the rest is dropped."""
        room = max(0, _QUEUE_BYTES - self._bytes)
        number = table.num_rows if table.nbytes <= room else table.num_rows * room // table.nbytes
        self._dropped += table.num_rows - number
        if number:
            size = min(table.nbytes, room)
            self._tables.append(_LoggedTable(model, table.slice(0, number), size))
            self._bytes += size

    def _work(self) -> None:
        """Make rows into tables and tables into files, until the log is closed."""
        while not self._closed:
            since = self._since
            self._wake.wait(None if since is None else max(0.0, since + self._seconds - time.monotonic()))
            self._wake.clear()
            if self._is_full():
                self._take()
            if self._is_due():
                self._write()
        self._write()

    def _is_full(self) -> bool:
        return self._waiting_rows >= FILE_ROWS or self._bytes > _QUEUE_BYTES / 2

    def _is_due(self) -> bool:
        since = self._since
        is_old = since is not None and time.monotonic() - since >= self._seconds
        many = sum(logged.table.num_rows for logged in self._tables) >= FILE_ROWS
        return is_old or many or self._bytes > _QUEUE_BYTES / 2

    def _take(self) -> None:
        """Make tables of what is in the queue; young rows stay that a shadow is to answer, unless the log is closed."""
        old = math.inf if self._closed else time.monotonic() - self._seconds
        with self._lock:
            queued = list(self._queue)  # others only add to it
        late = next((i for i, call in enumerate(queued) if not call.rows.is_known and call.since > old), None)
        taken = queued[:late]
        with self._lock:
            for call in taken:
                self._queue.popleft()
                self._waiting_rows -= len(call.rows)
        queued.clear()
        for gathered in self._read(taken):
            calls = len(gathered.calls.sizes)
            for start in range(0, calls, _MADE_AT_ONCE):
                self._make_table(gathered.part(start, min(start + _MADE_AT_ONCE, calls)))
                self._pause()

    def _read(self, taken: list[_Waiting]) -> list[GatheredRows]:
        """Read calls, little by little; those of each model version by themselves, because its features are its own.

        What was read of a call is let go at once: some thirty objects each.
        """
        of_model: dict[int, GatheredRows] = {}
        taken.reverse()
        while taken:
            for _ in range(min(_READ_AT_ONCE, len(taken))):
                call = taken.pop()
                gathered = of_model.setdefault(id(call.rows.model), GatheredRows(call.rows.model, self.settings))
                try:
                    gathered.add(call.rows)
                except Exception as error:  # noqa: BLE001 - no call may keep those behind it from the log
                    self._drop(len(call.rows), error, call.size)
            self._pause()
        return list(of_model.values())

    def _pause(self) -> None:
        if not self._closed:  # nobody asks any more
            time.sleep(_PAUSE_SECONDS)

    def _make_table(self, gathered: GatheredRows) -> None:
        """Make a table of some calls; a call of which none can be made keeps no other from the log."""
        calls = len(gathered.calls.sizes)
        try:
            table = gathered_table(gathered)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with them
            if calls > 1:
                self._make_table(gathered.part(0, calls // 2))
                self._make_table(gathered.part(calls // 2, calls))
                return
            self._drop(len(gathered), error, gathered.size)
            return
        with self._lock:
            self._bytes += table.nbytes - gathered.size
            self._tables.append(_LoggedTable(gathered.model, table, table.nbytes))

    def _write(self) -> None:
        """Write away all that is ready; what cannot be written is dropped, or it would fill the memory."""
        self._take()
        with self._lock:
            tables, self._tables = self._tables, []
            self._since = self._queue[0].since if self._queue else None
        of_model: dict[int, list[_LoggedTable]] = {}
        for logged in tables:
            of_model.setdefault(id(logged.model), []).append(logged)
        for parts in of_model.values():
            self._write_rows(parts[0].model, pa.concat_tables([logged.table for logged in parts]))
        with self._lock:
            self._bytes -= sum(logged.size for logged in tables)

    def _write_rows(self, model: LoggedModel, table: pa.Table) -> None:
        """Write the rows of one version, and then how many of them fell into which bin."""
        counting = self.settings.features == "counts" and has_features(model, self.settings)
        try:
            if table.num_rows:
                write_new_file(self.settings.folder, without_features(table) if counting else table)
        except Exception as error:  # noqa: BLE001 - a disk may fail in any way
            self._drop(table.num_rows, error)
            return
        try:
            if counting:
                write_counted(self.settings.folder, model, table, _PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the rows are written, and monitored without their features
            self._wrote(table.num_rows, error)
        else:
            self._wrote(table.num_rows)

    def _wrote(self, rows: int, error: Exception | None = None) -> None:
        with self._lock:
            self._written += rows
        if error is None:
            self._complaint = ""
        else:
            self._complain(f"Features of {count(rows, 'row')} not counted", error, "The rows themselves are written.")

    def _drop(self, rows: int, error: Exception, size: int = 0) -> None:
        """Count rows that are lost, and what they took."""
        with self._lock:
            self._dropped += rows
            self._bytes -= size
        lost = "metamodel_log_dropped_total counts what is lost."
        self._complain(f"{count(rows, 'row')} not logged", error, f"Answers go on; {lost}")

    def _complain(self, fact: str, error: Exception, therefore: str) -> None:
        """Say once why something is lost, not for each row."""
        text = error_text(error)
        with self._lock:
            is_new, self._complaint = text != self._complaint, text
        if is_new:
            _logger.warning("%s in %s (%s). %s", fact, self.settings.folder, text, therefore)

    def hurry(self) -> None:
        """Write away what is there, and from now on quickly what comes: the process is about to end."""
        self._seconds = _DRAIN_SECONDS
        self._wake.set()

    def close(self, seconds: float = 2.0) -> None:
        """Write away what is there, and take nothing more.

        Parameters
        ----------
        seconds
            How long to wait for the disk; what is not written by then is lost.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(seconds)
            if thread.is_alive():
                _logger.warning("%s was not written in time; its last rows are lost.", self.settings.folder)
