"""Where a history is kept, and how rows get into it and out of it: `HistoryStore`."""

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlparse

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from metamodel.common.messages import listing
from metamodel.common.uris import is_local, local_path, redacted
from metamodel.exceptions import InputError
from metamodel.lineage.delta_tables import DeltaTables
from metamodel.lineage.generation import (
    NAMED_BY,
    Generation,
    children_rows,
    lineage_rows,
    named_children,
    version_row,
    with_carried,
)
from metamodel.lineage.parquet_folders import ParquetFolders, reading_history
from metamodel.lineage.table_schemas import CHILDREN, EVENTS, LINEAGE, MONITOR, TABLES, VERSIONS, HistoryTable
from metamodel.tables.delta import delta_reason

__all__ = ["VARIABLE", "HistoryStore", "append_monitor"]

VARIABLE = "METAMODEL_HISTORY"

_NAMES = {table.name for table in TABLES}

# Object stores in which deltalake commits a version for one writer alone.
_STORES = ("s3", "s3a", "gs", "az", "abfs", "abfss")


class _Tables(Protocol):
    def replace(self, table: HistoryTable, rows: pa.Table, of: Mapping[str, Any]) -> None: ...

    def put_row(self, table: HistoryTable, row: pa.Table, by: str) -> None: ...

    def dataset(self, table: HistoryTable) -> ds.Dataset | None: ...


class HistoryStore:
    """The history of any number of models, in one place.

    Parameters
    ----------
    place
        A folder, or an address such as ``s3://bucket/history``. What stands there stays what it is; a new one is made
        of Delta tables, and where deltalake is not installed of folders of Parquet.

    Raises
    ------
    InputError
        It is no folder, or one that holds something else, or needs deltalake.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self._tables: _Tables = _opened(self.place)

    @classmethod
    def configured(cls, place: str | Path | None = None) -> Self | None:
        """Open the history that is given, or that of METAMODEL_HISTORY; None where neither is."""
        named = str(place or os.environ.get(VARIABLE, ""))
        return cls(named) if named else None

    @classmethod
    def needed(cls, place: str | Path | None = None) -> Self:
        """Open the history that a question is put to.

        Raises
        ------
        InputError
            None is given, or nothing stands there.
        """
        store = cls.configured(place)
        if store is None:
            raise InputError(f"There is no history to ask. Give --history DIR, or set {VARIABLE}.")
        if is_local(store.place) and not local_path(store.place).is_dir():
            raise InputError(f"There is no history at {store.place!r}. Check the path, or make one with --rebuild.")
        return store

    def check_writable(self) -> None:
        """Insist on a place that can be written to, before there is anything to write.

        Of an object store a history that stands there is opened, and a new one begun.

        Raises
        ------
        InputError
            A folder cannot be made, or written to.
        StorageFailed
            An object store cannot be reached, or refuses.
        """
        if isinstance(self._tables, DeltaTables) and not is_local(self.place):
            self._tables.begun(VERSIONS)
            return
        path = local_path(self.place)
        probe = path / f".probe-{os.getpid()}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            fact = f"The history {self.place!r} cannot be written: {error.strerror}"
            raise InputError(f"{fact}. Check the path and who may write there.") from error

    def write_generation(self, generation: Generation, known: pa.Array | None = None) -> pa.Array:
        """Write what a version says of its groups; the same version again changes nothing.

        Parameters
        ----------
        generation
            The version.
        known
            What writing the version just before has returned; read from the history where it is not given.

        Returns
        -------
        StringArray
            Which children there were up to this version.

        Raises
        ------
        StorageFailed
            It cannot be written; a part of it that was does not count.
        """
        known = self._children_before(generation) if known is None else known
        generation = with_carried(generation, known)
        children = children_rows(generation, known)
        self._tables.replace(CHILDREN, children, generation.of)
        self._tables.replace(LINEAGE, lineage_rows(generation), generation.of)
        self._tables.put_row(VERSIONS, version_row(generation, children.num_rows), "version")
        return pa.concat_arrays([known, named_children(children)])

    def _children_before(self, generation: Generation) -> pa.Array:
        earlier = (ds.field("model") == generation.model) & (ds.field("version") < generation.version)
        whole = self.read(VERSIONS, ["version"], earlier)["version"]  # what a killed writer left may not count
        of_whole = earlier & ds.field("version").isin(whole.combine_chunks())
        return named_children(self.read(CHILDREN, NAMED_BY, of_whole))

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Keep an event; one whose `id` is there already stays as it is."""
        self._tables.put_row(EVENTS, pa.Table.from_pylist([dict(event)], schema=EVENTS.schema), "id")

    def write_window(self, groups: pd.DataFrame, of: Mapping[str, Any], version: int | None) -> None:
        """Write what monitoring says of the groups in a window; the same window again takes its place."""
        rows = groups.assign(**of, version=pd.array([version] * len(groups), dtype="Int64"))
        columns = [pa.array(rows[field.name], from_pandas=True).cast(field.type) for field in MONITOR.schema]
        self._tables.replace(MONITOR, pa.Table.from_arrays(columns, schema=MONITOR.schema), of)

    def read(self, table: HistoryTable, columns: Sequence[str] | None, rows: ds.Expression) -> pa.Table:
        """Read some rows of a table."""
        dataset = self._tables.dataset(table)
        names = list(columns or table.schema.names)
        schema = pa.schema([table.schema.field(name) for name in names])
        if dataset is None:
            return schema.empty_table()
        with reading_history(redacted(self.place)):
            return dataset.to_table(columns=names, filter=rows).cast(schema)

    def query(self, sql: str, model: str) -> pd.DataFrame:
        """Answer a question in SQL, by deltalake's own engine.

        Raises
        ------
        InputError
            The history is not made of Delta tables, or the engine does not understand the question.
        """
        if not isinstance(self._tables, DeltaTables):
            raise InputError(
                f"The history {self.place!r} is made of folders of Parquet, and SQL needs Delta tables. "
                "Make one with --rebuild in a new folder where deltalake is installed, or ask any engine for Parquet."
            )
        try:
            return self._tables.query(sql, model).to_pandas()
        except Exception as error:  # the engine's errors have no class of their own
            raise InputError(f"The question cannot be answered: {delta_reason(error)}") from error


def append_monitor(
    groups: pd.DataFrame, *, model: str, version: int | None, window: str, history: str | Path | None = None
) -> bool:
    """Append what monitoring says of the groups in a window to the history, where one is configured.

    Parameters
    ----------
    groups
        As `Monitoring.groups`: one row a group.
    model, version
        The registered model, and the number of its version; None where that is not known.
    window
        The window's name; rows that stand under it already are replaced.
    history
        The history; by default that of METAMODEL_HISTORY.

    Returns
    -------
    bool
        Whether there is a history.
    """
    store = HistoryStore.configured(history)
    if store is not None:
        store.write_window(groups, {"model": model, "window": window}, version)
    return store is not None


def _opened(place: str) -> _Tables:
    """Open what stands there, or choose what a new history is made of."""
    if not is_local(place):
        if urlparse(place).scheme not in _STORES or not urlparse(place).netloc:
            raise InputError(
                f"The history {redacted(place)!r} is no folder, and no place in an object store that can hold one. "
                f"Give a folder, or an address that begins with {', '.join(f'{name}://' for name in _STORES)}."
            )
        return DeltaTables(place)
    path = local_path(place)
    if path.exists() and not path.is_dir():
        raise InputError(f"The history {place!r} is a file. Give a folder, which may be a new one.")
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(".")) if path.exists() else []
    if others := [name for name in names if name not in _NAMES]:
        raise InputError(f"The folder {place!r} is no history: it holds {listing(others)}. Give an empty or a new one.")
    if any((path / name / "_delta_log").is_dir() for name in names):
        return DeltaTables(str(path))
    # A folder without either is one that another writer has just begun.
    has_parquet = any(next((path / name).glob("*=*/**/*.parquet"), None) for name in names)
    return DeltaTables(str(path)) if find_spec("deltalake") and not has_parquet else ParquetFolders(str(path))
