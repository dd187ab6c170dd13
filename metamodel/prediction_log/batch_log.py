"""What one batch answers, in the log: a file that appears when the batch is complete, so a second try adds nothing.

A batch has time: it waits for the disk, and drops nothing because something else is slow. Where the disk fails, its
rows are dropped and counted, and the batch goes on, as a server's answers do.
"""

import logging
import os
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.messages import count, error_text
from metamodel.common.whole_files import whole_file
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.counted_rows import days_of, without_features
from metamodel.prediction_log.gathered_rows import has_features
from metamodel.prediction_log.log_counts import write_count_file
from metamodel.prediction_log.log_files import NEW_DIR, WRITING
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_tables import log_table
from metamodel.prediction_log.log_writer import LogCounts

__all__ = ["BatchLog"]

_logger = logging.getLogger(__name__)

# A reader holds a row group as a whole.
_ROW_GROUP = 50_000


class BatchLog:
    """The log of one batch, or of one of its partitions; to be used by one thread, in a `with` block.

    A block that ends with an error leaves nothing.

    Parameters
    ----------
    settings
        What is logged, and where.
    name
        Under which its files stand (`new_name`): who uses it again replaces them.
    """

    def __init__(self, settings: LogSettings, name: str) -> None:
        self.settings = settings
        self._name = name
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._model: LoggedModel | None = None
        self._days: dict[str, WindowCounts] = {}
        self._rows = self._dropped = 0
        self._failed = False

    @property
    def counts(self) -> LogCounts:
        """What became of the rows so far; none is in a file before the block has ended."""
        return LogCounts(self._rows, self._dropped)

    def put(self, rows: AnsweredRows) -> None:
        """Take rows over, all answered by the same model; never raises."""
        try:
            table = log_table([rows], self.settings)
            self._rows += table.num_rows
            if not self._failed:
                self._put(rows.model, table)
        except Exception as error:  # noqa: BLE001 - the answers are given whatever becomes of the log
            self._fail(error)
        if self._failed:
            self._rows, self._dropped = 0, self._dropped + self._rows

    def _put(self, model: LoggedModel, table: pa.Table) -> None:
        counting = self.settings.features == "counts" and has_features(model, self.settings)
        if counting:
            for counts in days_of(table, model):
                self._days[counts.window] = counts.plus(self._days.get(counts.window))
            table = without_features(table)
        if self._writer is None:
            self._model = model
            place = self.settings.folder / NEW_DIR
            place.mkdir(parents=True, exist_ok=True)
            unfinished = self._stack.enter_context(whole_file(place / f"rows-{self._name}.parquet", tidy=False))
            self._file = self._stack.enter_context(unfinished.open("wb"))
            self._writer = pq.ParquetWriter(self._file, table.schema, coerce_timestamps="us", **WRITING)
        self._writer.write_table(table, row_group_size=_ROW_GROUP)

    def _fail(self, error: Exception) -> None:
        self._failed = True
        _logger.warning("%s cannot be written (%s). Answers go on; their rows are not logged.",
                        self.settings.folder, error_text(error))  # fmt: skip
        self._abandon(error)

    def _abandon(self, error: BaseException) -> None:
        """Leave nothing of the file."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except Exception as closing:  # noqa: BLE001 - a full disk fails here once more
            _logger.debug("An abandoned file of the log could not be closed: %r", closing)
        self._stack.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon(error)
            return
        try:
            self._finish()
        except Exception as failed:  # noqa: BLE001 - as in put
            self._fail(failed)
            self._rows, self._dropped = 0, self._dropped + self._rows
        if self._dropped:
            _logger.warning("%s not logged in %s.", count(self._dropped, "row"), self.settings.folder)

    def _finish(self) -> None:
        if self._writer is None or self._model is None:
            return
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._stack.close()
        for counts in self._days.values():
            write_count_file(self.settings.folder, counts, self._model.name, self._model.version, name=self._name)
