"""The tables of a history as Delta tables: a folder, or a place in an object store.

A generation is one commit a table. `overwrite` with a predicate makes writing it again change nothing, and a commit
that expects the very version that was read (`max_commit_retries=0`) is a compare-and-set: of two writers one reads
again.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from metamodel.common.extras import import_extra
from metamodel.common.uris import is_local
from metamodel.exceptions import StorageFailed
from metamodel.lineage.table_schemas import TABLES, HistoryTable
from metamodel.tables.delta import check_openable, delta_reason, own_files

__all__ = ["DeltaTables"]

_ATTEMPTS = 20

_PAUSE_SECONDS = 0.05

# Rows of a table that a question about one group has to read of each file. With fewer, SQL over all rows has too many
# pieces to open: with 2,048 it takes 0.7 s of the processor for five million rows, with 4,096 it takes 0.4 s.
_ROWS_READ_TOGETHER = 4096


class DeltaTables:
    """Reads and writes the tables.

    Parameters
    ----------
    root
        The folder, or an address such as ``s3://bucket/history``.

    Raises
    ------
    InputError
        deltalake is not installed.
    """

    def __init__(self, root: str) -> None:
        self._deltalake = import_extra("delta", "A history in Delta tables", "deltalake")
        self._root = root.rstrip("/")

    def replace(self, table: HistoryTable, rows: pa.Table, of: Mapping[str, Any]) -> None:
        """Write the rows of one partition in place of those that stand there, whatever others write beside it."""
        predicate = " AND ".join(f"{name} = {_literal(value)}" for name, value in of.items())
        properties = self._deltalake.WriterProperties(
            compression="ZSTD",
            max_row_group_size=_ROWS_READ_TOGETHER,
            # a question has to read those of every file and row group
            default_column_properties=self._deltalake.ColumnProperties(statistics_enabled="NONE"),
            column_properties={"key": self._deltalake.ColumnProperties(statistics_enabled="CHUNK")},
        )

        def write(opened: Any) -> None:
            options = {"mode": "overwrite", "predicate": predicate, "writer_properties": properties}
            self._deltalake.write_deltalake(opened, rows, schema_mode="merge", **options)

        self._committed(table, write)

    def put_row(self, table: HistoryTable, row: pa.Table, by: str) -> None:
        """Write a row in place of the one of its model that has the same value in `by`; no writer loses another's row.

        The rows of a model are few, and stay in one file: a question opens one, and not one for each version.
        """
        model, value = row["model"][0], row[by][0]
        once = self._deltalake.CommitProperties(max_commit_retries=0)
        options = {"mode": "overwrite", "predicate": f"model = {_literal(model.as_py())}", "commit_properties": once}

        def write(opened: Any) -> None:
            standing = opened.to_pyarrow_dataset().to_table(filter=ds.field("model") == model).cast(table.schema)
            if standing.filter(ds.field(by) == value).equals(row):
                return
            rows = pa.concat_tables([standing.filter(ds.field(by) != value), row]).sort_by(by)
            self._deltalake.write_deltalake(opened, rows, schema_mode="merge", **options)

        self._committed(table, write)

    def dataset(self, table: HistoryTable) -> ds.Dataset | None:
        """Open a table; None where nothing was ever written."""
        opened = self.opened(table)
        return None if opened is None else opened.to_pyarrow_dataset()

    def opened(self, table: HistoryTable) -> Any:
        """Open a table as deltalake does; None where there is none."""
        path = self._path(table)
        check_openable(path)
        try:
            opened = self._deltalake.DeltaTable(path)
        except self._deltalake.exceptions.TableNotFoundError:
            return None
        except (self._deltalake.exceptions.DeltaError, OSError) as error:
            raise StorageFailed(f"The history {path!r} cannot be read: {delta_reason(error)}") from error
        if is_local(path):
            own_files(opened, path)
        return opened

    def begun(self, table: HistoryTable) -> Any:
        """Open a table, or begin it.

        Raises
        ------
        StorageFailed
            It cannot be reached, or nobody may write there.
        """
        try:
            return self.opened(table) or self._created(table)
        except (self._deltalake.exceptions.DeltaError, OSError) as error:
            raise self._not_written(table, error) from error

    def query(self, sql: str, model: str) -> pa.Table:
        """Answer a question in SQL; each table is a view of what it says of one model.

        Raises
        ------
        DeltaError
            The engine does not understand the question.
        """
        builder = self._deltalake.QueryBuilder()
        for table in TABLES:
            opened = self.opened(table) or self._created(table)
            builder.register(f"every_{table.name}", opened)
            view = f"CREATE VIEW {table.name} AS SELECT * FROM every_{table.name} WHERE model = {_literal(model)}"
            builder.execute(view).read_all()
        return pa.table(builder.execute(sql).read_all())

    def _committed(self, table: HistoryTable, write: Callable[[Any], None]) -> None:
        """Write to the newest version; where another writer was there first, read again."""
        conflict = self._deltalake.exceptions.CommitFailedError
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    write(self.opened(table) or self._created(table))
                    return
                except conflict:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    time.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))
        except (self._deltalake.exceptions.DeltaError, OSError, pa.ArrowException) as error:
            raise self._not_written(table, error) from error

    def _not_written(self, table: HistoryTable, error: Exception) -> StorageFailed:
        return StorageFailed(f"The history {self._path(table)!r} cannot be written: {delta_reason(error)}")

    def _created(self, table: HistoryTable) -> Any:
        try:
            return self._deltalake.DeltaTable.create(
                self._path(table),
                table.schema,
                mode="error",
                partition_by=list(table.partition_by),
                configuration={"delta.dataSkippingStatsColumns": "key"} if "key" in table.schema.names else None,
            )
        except self._deltalake.exceptions.DeltaError:
            if (opened := self.opened(table)) is None:
                raise
            return opened  # another writer has created it meanwhile

    def _path(self, table: HistoryTable) -> str:
        return f"{self._root}/{table.name}"


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
