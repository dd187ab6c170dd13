"""The tables of a history as folders of Parquet files, for who has no deltalake: ``lineage/model=sales/version=8/``.

A file is written under a temporary name and renamed, and always has the same name: writing again changes nothing, and
of two writers of the same the later one stays.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from metamodel.common.failures import known_failure
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import StorageFailed
from metamodel.lineage.table_schemas import HistoryTable

__all__ = ["ParquetFolders"]

_FILE = "rows.parquet"

# A question reads the statistics of every file and row group, and of few the rows.
_SETTINGS = {"compression": "zstd", "row_group_size": 2048, "write_statistics": ["key"]}


class ParquetFolders:
    """Reads and writes the tables.

    Parameters
    ----------
    root
        The folder.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def replace(self, table: HistoryTable, rows: pa.Table, of: Mapping[str, Any]) -> None:
        """Write the rows of one partition in place of those that stand there."""
        self._write(table, rows, of, _FILE)

    def put_row(self, table: HistoryTable, row: pa.Table, by: str) -> None:
        """Write a row in a file that is called like its value in `by`."""
        self._write(table, row, {"model": row["model"][0].as_py()}, f"{row[by][0].as_py()}.parquet")

    def dataset(self, table: HistoryTable) -> ds.Dataset | None:
        """Open a table; None where nothing was ever written."""
        kind, folder = ds.ParquetFileFormat(), self._root / table.name
        paths = sorted(path for path in folder.glob("*=*/**/*.parquet") if not path.name.startswith("."))
        if not paths:
            return None
        fragments = [
            kind.make_fragment(str(path), fs.LocalFileSystem(), _values(table, path.relative_to(folder).parent))
            for path in paths
        ]
        return ds.FileSystemDataset(fragments, table.schema, kind, fs.LocalFileSystem())

    def _write(self, table: HistoryTable, rows: pa.Table, of: Mapping[str, Any], name: str) -> None:
        folder = self._root.joinpath(table.name, *(f"{column}={quote(str(of[column]), safe='')}" for column in of))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(folder / name) as unfinished:
                inside = rows.drop_columns(list(table.partition_by))
                pq.write_table(inside, unfinished, **_SETTINGS)
        except OSError as error:
            known = known_failure(error)
            raise StorageFailed(str(known or f"The history {str(folder)!r} cannot be written: {error}.")) from error


def _values(table: HistoryTable, folder: Path) -> ds.Expression:
    """Say what all rows of a folder have in common; its name alone says it, and not that of a folder above."""
    texts = dict(part.split("=", 1) for part in folder.parts)
    expression = ds.scalar(True)
    for name in table.partition_by:
        value = pa.scalar(unquote(texts[name])).cast(table.schema.field(name).type)
        expression &= ds.field(name) == value
    return expression
