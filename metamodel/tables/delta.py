"""Delta tables without a JVM, through the package deltalake (extra `delta`).

A name is ``delta:PATH``, ``delta:PATH@v12`` (a version) or ``delta:PATH@2026-11-01`` (the table as it was then); a
folder with a `_delta_log` is a Delta table, too: its Parquet files are those of every version, old and new ones.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa

from metamodel.common.extras import import_extra
from metamodel.common.messages import short, short_line
from metamodel.common.uris import is_local, local_path
from metamodel.exceptions import InputError
from metamodel.tables.arrow import plain_frame, stored_schema

__all__ = [
    "PREFIX",
    "DeltaName",
    "check_openable",
    "delta_reason",
    "delta_types",
    "is_delta",
    "own_files",
    "read_delta",
    "resolved",
    "write_delta",
]

PREFIX = "delta:"

_AT = re.compile(r"@(?:v(?P<version>\d+)|(?P<time>\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?(?:Z|[+-]\d\d:\d\d)?))$")

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")

# The engine takes time by the square of their number: ten seconds for so many.
_MOST_COLUMNS = 10_000

# What deltalake's list of causes is coloured with, and what S3 answers where it refuses.
_COLOUR, _ANSWER = re.compile(r"\x1b\[\d*m"), re.compile("<Message>(.*?)</Message>", re.DOTALL)


@dataclass(frozen=True)
class DeltaName:
    """Which table is meant, and as it was when: at a version, at a time, or now (neither)."""

    path: str
    version: int | None = None
    time: str | None = None

    @classmethod
    def parse(cls, name: str | Path) -> Self:
        """Read a name.

        Raises
        ------
        InputError
            It says of no table where it lies.

        Examples
        --------
        >>> DeltaName.parse("delta:/lake/sales@v12")
        DeltaName(path='/lake/sales', version=12, time=None)
        >>> DeltaName.parse("delta:s3://me@lake/sales@2026-11-01")
        DeltaName(path='s3://me@lake/sales', version=None, time='2026-11-01')
        >>> DeltaName.parse("/lake/sales")
        DeltaName(path='/lake/sales', version=None, time=None)
        """
        text = str(name)
        if not text.startswith(PREFIX):
            return cls(text)
        place = text.removeprefix(PREFIX)
        at = _AT.search(place)
        path = place if at is None else place[: at.start()]
        if path.strip() in ("", "@"):
            raise InputError(f"{text!r} names no table. Say where it lies: {PREFIX}/lake/sales.")
        if at is None:
            return cls(path)
        return cls(path, None if at["version"] is None else int(at["version"]), at["time"])

    def __str__(self) -> str:
        """Write the name that `parse` reads."""
        at = self.time if self.version is None else f"v{self.version}"
        return f"{PREFIX}{self.path}" + (f"@{at}" if at else "")


def is_delta(name: str | Path) -> bool:
    """Whether a name is that of a Delta table."""
    return str(name).startswith(PREFIX) or (Path(name) / "_delta_log").is_dir()


def resolved(name: str | Path) -> str:
    """Name the very version that is read under a name, so that it can be recorded, and read again.

    Raises
    ------
    InputError
        There is no such table or version, or deltalake is not installed.
    """
    asked = DeltaName.parse(name)
    return str(DeltaName(asked.path, _opened(asked).version()))


def delta_types(name: str | Path) -> dict[str, str]:
    """Name the type of each column of a table.

    Raises
    ------
    InputError
        There is no such table or version, or deltalake is not installed.
    """
    schema = _opened(DeltaName.parse(name)).schema()
    return {field.name: getattr(field.type, "type", str(field.type)) for field in schema.fields}


def read_delta(name: str | Path, batch_rows: int | None) -> Iterator[pd.DataFrame]:
    """Read a table in parts of at most `batch_rows` rows (None: in one part), in the order of its files.

    Raises
    ------
    InputError
        There is no such table or version, or deltalake is not installed.
    """
    asked = DeltaName.parse(name)
    opened = _opened(asked)
    with _reading(asked):
        reader = _reader(opened)
        whole = reader.read_all() if batch_rows is None else None
    if whole is not None:
        yield plain_frame(whole)
        return
    empty = True
    while (batch := _next(reader, asked)) is not None:
        for start in range(0, batch.num_rows, batch_rows or 1):
            empty = False
            yield plain_frame(pa.Table.from_batches([batch.slice(start, batch_rows)]))
    if empty:
        yield plain_frame(reader.schema.empty_table())


def check_openable(place: str) -> None:
    """Refuse a table on this machine that would be waited for: deltalake opens the hint of a checkpoint, a pipe, too.

    Raises
    ------
    InputError
        It has such a hint.
    """
    hint = local_path(place) / "_delta_log" / "_last_checkpoint"
    if is_local(place) and hint.exists() and not hint.is_file():
        raise InputError(f"{str(hint)!r} is no file. Take it away.")


def own_files(table: Any, place: str) -> list[Path]:
    """List the files of a table on this machine, none of which lies elsewhere, or is named twice.

    A log may name any file, as a copy does that shares the files of another table (a shallow clone). Whose rows these
    are would be a guess, and who takes files away would take another table's.

    Raises
    ------
    InputError
        It names such a file, or one that is none.
    """
    root, files = local_path(place), set()
    names = pa.table(table.get_add_actions())["path"].to_pylist()
    for name in names:
        parts = unquote(name).split("/")
        file = root.joinpath(*parts) if "\0" not in name else root
        if _SCHEME.match(name) or not {"", ".", ".."}.isdisjoint(parts) or not file.is_file():
            raise InputError(
                f"{place!r} cannot be read: its log names {short(name)}, which is no file of this table. "
                "Restore it, or write the table anew, with all its rows in files of its own."
            )
        files.add(file)
    if len(files) < len(names):
        raise InputError(f"{place!r} cannot be read: its log names a file twice. Write the table anew.")
    return sorted(files)


def write_delta(name: str, frames: Iterable[pd.DataFrame]) -> int:
    """Write parts of a table as a new Delta table, which is there when it is complete. Its rows have no order.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    InputError
        Something stands there already, Delta has no type for a column, or deltalake is not installed.
    """
    deltalake = import_extra("delta", "A Delta table", "deltalake")
    path = DeltaName.parse(name).path
    if deltalake.DeltaTable.is_deltatable(path):
        raise InputError(f"{name!r} exists already. Name another output, or remove it first.")
    parts = iter(frames)
    first = pa.Table.from_pandas(next(parts), preserve_index=False)
    schema = pa.schema([_delta_field(field) for field in stored_schema(first.schema)])
    tables = chain([first], (pa.Table.from_pandas(frame, preserve_index=False) for frame in parts))
    source = _Batches(schema, tables)
    try:
        deltalake.write_deltalake(path, pa.RecordBatchReader.from_batches(schema, source))
    except (deltalake.exceptions.DeltaError, pa.ArrowException) as error:
        if source.error is not None and not isinstance(source.error, pa.ArrowException):
            raise source.error from None
        raise InputError(f"{name!r} cannot be written: {delta_reason(source.error or error)}") from error
    return source.rows


class _Batches:
    """Batches of one schema; remembers how many rows went by, and what went wrong, of which deltalake says less."""

    def __init__(self, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        self._schema, self._tables = schema, tables
        self.rows = 0
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for table in self._tables:
                self.rows += table.num_rows
                yield from table.cast(self._schema).to_batches()
        except Exception as error:
            self.error = error
            raise


def _opened(asked: DeltaName) -> Any:
    deltalake = import_extra("delta", "A Delta table", "deltalake")
    check_openable(asked.path)
    try:
        table = deltalake.DeltaTable(asked.path)
        if asked.version is not None:
            if asked.version > table.version():
                raise InputError(f"{str(asked)!r} cannot be read: the newest version is {table.version()}.")
            table.load_as_version(asked.version)
        elif asked.time is not None:
            _go_back(table, asked)
    except deltalake.exceptions.DeltaError as error:
        raise InputError(f"{str(asked)!r} cannot be read: {delta_reason(error)} Check the path.") from error
    if is_local(asked.path):
        own_files(table, asked.path)
    if (columns := len(table.schema().fields)) > _MOST_COLUMNS:
        raise InputError(
            f"{str(asked)!r} has {columns:,} columns, and {_MOST_COLUMNS:,} can be read of a Delta table. "
            "Write those that are needed into another one, or all as Parquet."
        )
    return table


@contextmanager
def _reading(asked: DeltaName) -> Iterator[None]:
    """Say in one line what deltalake's engine finds in the files."""
    deltalake = import_extra("delta", "A Delta table", "deltalake")
    try:
        yield
    except (deltalake.exceptions.DeltaError, pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{str(asked)!r} cannot be read: {delta_reason(error)} Check that its files are complete."
        ) from error


def _next(reader: pa.RecordBatchReader, asked: DeltaName) -> pa.RecordBatch | None:
    with _reading(asked):
        return next(reader, None)


def _go_back(table: Any, asked: DeltaName) -> None:
    """Load the table as it was at a time; deltalake itself takes the first version for times before there was one."""
    when = pd.Timestamp(asked.time)
    when = when.tz_localize("UTC") if when.tzinfo is None else when.tz_convert("UTC")
    first = pd.Timestamp(table.history()[-1]["timestamp"], unit="ms", tz="UTC")
    if when < first:
        raise InputError(f"{str(asked)!r} cannot be read: the table begins at {first.isoformat()}. Name a later time.")
    table.load_as_version(when.isoformat())


def _reader(table: Any) -> pa.RecordBatchReader:
    """Read through deltalake's own engine, which knows deletion vectors and column mapping; its pyarrow way does not.

    With one partition the rows come in the order of the files, each time; with more as the threads happen to end.
    """
    query = import_extra("delta", "A Delta table", "deltalake").QueryBuilder()
    query.execute("SET datafusion.execution.target_partitions = 1").read_all()
    reader = pa.RecordBatchReader.from_stream(query.register("asked", table).execute("SELECT * FROM asked"))
    return reader.cast(pa.schema([_plain_field(field) for field in reader.schema]))


def _plain_field(field: pa.Field) -> pa.Field:
    """Give texts the type that pandas knows."""
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return field.with_type(views.get(field.type, field.type))


_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.int64()}


def _delta_field(field: pa.Field) -> pa.Field:
    """Give a column the type in which Delta stores it: no unsigned integers, microseconds, texts for categories."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_duration(kind):
        raise InputError(f"Column {field.name!r} holds durations, for which Delta has no type. Write Parquet instead.")
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", kind.tz and "UTC")
    return field.with_type(_WIDER.get(kind, kind))


def delta_reason(error: BaseException) -> str:
    """Say what happened in one line: of the causes that an object store lists below each other the last, too."""
    first, *causes = _COLOUR.sub("", str(error)).split("↳")
    outermost = (first.strip().splitlines() or [type(error).__name__])[0].removeprefix("Kernel error -> ")
    if not causes:
        return f"{short_line(outermost.strip(), 300).rstrip('.')}."
    answer = _ANSWER.search(causes[-1])
    return f"{outermost}: {short_line(answer[1] if answer else ' '.join(causes[-1].split()), 160).rstrip('.')}."
