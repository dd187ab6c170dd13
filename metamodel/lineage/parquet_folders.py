"""The tables of a history as folders of Parquet files, for who has no deltalake: ``lineage/model=sales/version=8/``.

A file is written under a temporary name and renamed, and always has the same name: writing again changes nothing, and
of two writers of the same the later one stays. Rows that come one by one stand in one file a model, which a writer
locks while it is read, completed and written again: a question opens one file, and not one for each version.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pyarrow import fs

from metamodel.common.failures import known_failure
from metamodel.common.messages import short_line
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError, StorageFailed
from metamodel.lineage.table_schemas import HistoryTable

__all__ = ["ParquetFolders", "reading_history"]

_FILE, _LOCK = "rows.parquet", ".writer.lock"

# Seconds; a row is written within milliseconds.
_LONGEST_WAIT = 120.0

# A question reads the statistics of every file and row group, and of few the rows.
_SETTINGS = {"compression": "zstd", "row_group_size": 2048, "write_statistics": ["key"], "write_page_checksum": True}

# Pages whose bytes are not those that were written are damage, not other values.
_PROVEN = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


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
        self._write(table, rows, of)

    def put_row(self, table: HistoryTable, row: pa.Table, by: str) -> None:
        """Write a row in place of the one of its model with the same value in `by`; no writer loses another's row."""
        of = {"model": row["model"][0].as_py()}
        with _storing(folder := self._folder(table, of)), _the_only_writer(folder):
            opened = self.dataset(table)
            standing = table.schema.empty_table()
            if opened is not None:
                with reading_history(str(folder)):
                    standing = opened.to_table(filter=ds.field("model") == row["model"][0])
            others = standing.filter(ds.field(by) != row[by][0])
            self._write(table, pa.concat_tables([others, row]).sort_by(by), of)

    def dataset(self, table: HistoryTable) -> ds.Dataset | None:
        """Open a table; None where nothing was ever written.

        Raises
        ------
        InputError
            Something stands there that no writer of a history makes: whose rows these are would be a guess.
        """
        folder = self._root / table.name
        paths = sorted(path for path in folder.glob("*=*/**/*.parquet") if not path.name.startswith("."))
        if not paths:
            return None
        files = fs.LocalFileSystem()
        fragments = [_PROVEN.make_fragment(str(path), files, _values(table, folder, path)) for path in paths]
        return ds.FileSystemDataset(fragments, table.schema, _PROVEN, files)

    def _write(self, table: HistoryTable, rows: pa.Table, of: Mapping[str, Any]) -> None:
        with _storing(folder := self._folder(table, of)):
            _check_no_link(self._root / table.name, folder / _FILE)
        with _storing(folder), whole_file(folder / _FILE) as unfinished:
            pq.write_table(rows.drop_columns(list(table.partition_by)), unfinished, **_SETTINGS)

    def _folder(self, table: HistoryTable, of: Mapping[str, Any]) -> Path:
        return self._root.joinpath(table.name, *(f"{column}={quote(str(of[column]), safe='')}" for column in of))


@contextmanager
def reading_history(place: str) -> Iterator[None]:
    """Say in one line that a file cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"The history {place!r} is damaged ({short_line(str(error))}). Restore it, or make it anew with --rebuild."
        ) from error


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Make a folder to write to; say in one line why it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        known = known_failure(error)
        raise StorageFailed(str(known or f"The history {str(folder)!r} cannot be written: {error}.")) from error


@contextmanager
def _the_only_writer(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes rows of this folder; not for ever for one who is stopped, or means harm."""
    # Others who may write to the folder take their turns by the same file, whoever made it.
    lock = FileLock(folder / _LOCK, timeout=_LONGEST_WAIT, mode=0o666)
    try:
        lock.acquire()
    except Timeout as error:
        raise StorageFailed(
            f"The history {str(folder)!r} has been written by another process for {_LONGEST_WAIT:g} s. "
            "Let it end, or end it."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _values(table: HistoryTable, folder: Path, path: Path) -> ds.Expression:
    """Say what all rows of a file have in common; its folders below the table's say it, and not that one's own name."""
    _check_no_link(folder, path)
    parts = [part.partition("=") for part in path.relative_to(folder).parent.parts]
    expression = ds.scalar(True)
    try:
        if path.name != _FILE or [name for name, _, _ in parts] != list(table.partition_by) or not path.is_file():
            raise ValueError("it lies elsewhere than a history's")
        for name, _, text in parts:
            value = pa.scalar(unquote(text)).cast(table.schema.field(name).type)
            if quote(str(value), safe="") != text:  # version=08 beside version=8
                raise ValueError(f"{name} is written otherwise")
            expression &= ds.field(name) == value
    except (ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} is no file of a history ({short_line(str(error))}). Take it away.") from error
    return expression


def _check_no_link(folder: Path, path: Path) -> None:
    """Refuse a link to another history, which would be read for this one, and written over."""
    for place in (folder, path, *path.relative_to(folder).parents):
        if (folder / place).is_symlink():
            raise InputError(
                f"{folder / place} is a link, and a history has none. Take it away, or name where it leads."
            )
