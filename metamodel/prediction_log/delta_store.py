"""A compacted log as a Delta table, partitioned by day (`delta/`), that any engine reads."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from metamodel.common.extras import import_extra
from metamodel.exceptions import InputError
from metamodel.tables.delta import check_openable, own_files

__all__ = ["DELTA_DIR", "DeltaStore"]

DELTA_DIR = "delta"

# In the commit that adds rows: the new files that they are from.
_TAKEN = "metamodel.log_files"

# A reader holds a row group as a whole.
_ROW_GROUP = 50_000

# Commits to look through for it: those that delete come behind the one that adds.
_RECENT = 50


class DeltaStore:
    """See `metamodel.prediction_log.log_store.LogStore`.

    A change is a commit of Delta's own log, which says in the same breath which new files are in it.

    Parameters
    ----------
    folder
        Of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / DELTA_DIR
        self._deltalake = import_extra("delta", f"The log {str(folder)!r}", "deltalake")

    def snapshot(self) -> tuple[list[Path], set[str]]:
        """Name the files that count, and the new files whose rows are in the last change."""
        table = self._table()
        if table is None:
            return [], set()
        added = next((commit[_TAKEN] for commit in table.history(_RECENT) if _TAKEN in commit), "[]")
        return self._files(table), set(json.loads(added))

    def schema(self) -> pa.Schema | None:
        """Columns of all files together, without the day."""
        table = self._table()
        if table is None:
            return None
        schema = pa.schema(table.schema().to_arrow())
        plain = [field.with_type(_PLAIN.get(field.type, field.type)) for field in schema if field.name != "day"]
        return pa.schema(plain)

    def append(self, tables: Iterable[pa.Table], schema: pa.Schema, taken: Collection[str]) -> None:
        """Add rows."""
        batches = (batch for table in tables for batch in table.to_batches())
        self._deltalake.write_deltalake(
            str(self._path),
            pa.RecordBatchReader.from_batches(schema, batches),
            partition_by=["day"],
            mode="append",
            schema_mode="merge",
            # Of no other column shall the smallest and largest value stand in Delta's own log, where none is forgotten.
            configuration={"delta.dataSkippingStatsColumns": "time"},
            writer_properties=self._deltalake.WriterProperties(compression="ZSTD", max_row_group_size=_ROW_GROUP),
            commit_properties=self._deltalake.CommitProperties({_TAKEN: json.dumps(sorted(taken))}),
        )

    def delete_before(self, day: str) -> int:
        """Delete the rows of earlier days."""
        return self._delete(f"day < '{day}'")

    def forget(self, entities: Collection[str]) -> int:
        """Delete the rows of some pseudonyms, which are hexadecimal digits."""
        listed = ", ".join(f"'{name}'" for name in sorted(entities))
        return self._delete(f"entity_hash IN ({listed})")

    def clean(self) -> None:
        """Take away the files of earlier versions, and those that no commit names."""
        if (table := self._table()) is not None:
            table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)

    def _delete(self, predicate: str) -> int:
        table = self._table()
        if table is None:
            return 0
        before = self._rows(table)
        table.delete(predicate)
        return before - self._rows(self._table())

    def _rows(self, table: Any) -> int:
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(file).num_rows for file in self._files(table))

    def _files(self, table: Any) -> list[Path]:
        """Name the table's files; a log has no links."""
        files = own_files(table, str(self._path))
        if linked := [file for file in files if file.resolve() != self._path.resolve() / file.relative_to(self._path)]:
            raise InputError(f"{linked[0]} is a link, and a log has none. Take it away.")
        return files

    def _table(self) -> Any:
        path = str(self._path)
        check_openable(path)
        return self._deltalake.DeltaTable(path) if self._deltalake.DeltaTable.is_deltatable(path) else None


_PLAIN = {pa.string_view(): pa.string(), pa.large_string(): pa.string(), pa.binary_view(): pa.binary()}
