"""A process's own part of the log: a bounded queue, and one thread that writes it away.

Whoever answers only puts rows into the queue. Where it is full, as when the disk is slow, full or gone, rows are
dropped and counted; nothing waits, and nothing is raised.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from metamodel.common.fork_lock import ForkLock
from metamodel.common.messages import count, error_text
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.counted_rows import without_features, write_counted
from metamodel.prediction_log.log_files import write_new_file
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_tables import has_features, log_table

__all__ = ["LogCounts", "PredictionLog"]

_logger = logging.getLogger(__name__)

# A file is written as soon as it is so many rows, or its first row so old.
FILE_ROWS = 10_000

FILE_SECONDS = 10.0

# ... and while the server drains.
_DRAIN_SECONDS = 0.2

# How often rows are made into tables, and how many calls at a time: little work often, because it takes the interpreter
# from the answers for as long as it lasts. The pause in between lets them have it.
_GATHERED_SECONDS = 0.25

_CALLS_AT_ONCE = 64

_PAUSE_SECONDS = 0.001

# What may wait in the queue, or be in the thread's hands.
_QUEUE_BYTES = 64 * 2**20

# What a call takes besides its values: the objects around them.
_CALL_BYTES = 2500

_CELL_BYTES = 8

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


class _LoggedTable(NamedTuple):
    model: LoggedModel
    table: pa.Table


class _Queued(NamedTuple):
    rows: AnsweredRows | _LoggedTable
    size: int  # bytes, about
    number: int  # of rows

    @property
    def is_ready(self) -> bool:
        """Whether all that is to be known of the rows is known."""
        shadow = None if isinstance(self.rows, _LoggedTable) else self.rows.answers.shadow
        return shadow is None or shadow.done


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
        self._queue: deque[_Queued] = deque()
        self._tables: list[_LoggedTable] = []  # the thread's own
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
        queued = self._queued(rows)
        with self._lock:
            room = _QUEUE_BYTES - self._bytes
            if queued.size > room and isinstance(queued.rows, _LoggedTable):
                model, table = queued.rows
                number = table.num_rows * max(0, room) // queued.size  # the rest is dropped
                self._dropped += table.num_rows - number
                queued = _Queued(_LoggedTable(model, table.slice(0, number)), room, number)
            if queued.size > room or self._closed or not queued.number:
                self._dropped += queued.number
                return
            self._queue.append(queued)
            self._bytes += queued.size
            if self._since is None:  # the thread sleeps
                self._since = time.monotonic()
                self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="metamodel-log", daemon=True)
                self._thread.start()

    def _queued(self, rows: AnsweredRows) -> _Queued:
        if len(rows) > _LARGE_ROWS and rows.answers.shadow is None:
            table = log_table([rows], self.settings)
            return _Queued(_LoggedTable(rows.model, table), table.nbytes, table.num_rows)
        return _Queued(rows, _CALL_BYTES + len(rows) * _CELL_BYTES * (len(rows.columns.arrays) + 12), len(rows))

    def _work(self) -> None:
        """Make rows into tables and tables into files, until the log is closed."""
        while not self._closed:
            self._wake.wait(None if self._since is None else min(_GATHERED_SECONDS, self._seconds))
            self._wake.clear()
            self._take(all_rows=False)
            if self._is_due():
                self._write()
        self._write()

    def _is_due(self) -> bool:
        since = self._since
        is_old = since is not None and time.monotonic() - since >= self._seconds
        return is_old or sum(logged.table.num_rows for logged in self._tables) >= FILE_ROWS

    def _take(self, *, all_rows: bool) -> None:
        """Make tables of what is in the queue; unless all rows are asked for, those stay that a shadow is to answer."""
        with self._lock:
            queued = list(self._queue)
            taken = [call for call in queued if all_rows or call.is_ready]
            self._queue = deque(() if all_rows else [call for call in queued if not call.is_ready])
        for start in range(0, len(taken), _CALLS_AT_ONCE):
            calls = taken[start : start + _CALLS_AT_ONCE]
            made: list[_LoggedTable] = []
            try:
                made = self._made(calls)
            except Exception as error:  # noqa: BLE001 - no row may keep those behind it from the log
                self._drop(sum(call.number for call in calls), error)
            self._tables += made
            with self._lock:
                self._bytes += sum(logged.table.nbytes for logged in made) - sum(call.size for call in calls)
            time.sleep(_PAUSE_SECONDS)

    def _made(self, queued: Sequence[_Queued]) -> list[_LoggedTable]:
        """Make one table for each model version, because each has features of its own."""
        tables = [call.rows for call in queued if isinstance(call.rows, _LoggedTable)]
        of_model: dict[int, list[AnsweredRows]] = {}
        for call in queued:
            if isinstance(call.rows, AnsweredRows):
                of_model.setdefault(id(call.rows.model), []).append(call.rows)
        made = [_LoggedTable(calls[0].model, log_table(calls, self.settings)) for calls in of_model.values()]
        return tables + made

    def _write(self) -> None:
        """Write away all that there is; what cannot be written is dropped, or it would fill the memory."""
        with self._lock:
            self._since = None
        self._take(all_rows=True)
        tables, self._tables = self._tables, []
        of_model: dict[int, list[_LoggedTable]] = {}
        for logged in tables:
            of_model.setdefault(id(logged.model), []).append(logged)
        for parts in of_model.values():
            self._write_rows(parts[0].model, pa.concat_tables([logged.table for logged in parts]))
        with self._lock:
            self._bytes -= sum(logged.table.nbytes for logged in tables)

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

    def _drop(self, rows: int, error: Exception) -> None:
        """Count rows that are lost."""
        with self._lock:
            self._dropped += rows
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
