"""Read a log while it is written and compacted: every row once, and no file that is not complete."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from metamodel.common.messages import short, short_line
from metamodel.exceptions import InputError
from metamodel.prediction_log.log_columns import COLUMNS
from metamodel.prediction_log.log_files import DAMAGE, NEW_DIR, new_files
from metamodel.prediction_log.log_locks import reading
from metamodel.prediction_log.log_store import open_log_store
from metamodel.tables.parquet.opened_size import check_opened

__all__ = ["is_log", "logged_columns", "read_log"]

_BATCH_ROWS = 100_000

# Pages whose bytes are not those that were written are damage, not other values.
_PROVEN = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


def is_log(folder: str | Path) -> bool:
    """Whether a folder is that of a prediction log."""
    return any((Path(folder) / name).exists() for name in (NEW_DIR, "delta", "compacted.json"))


def logged_columns(folder: str | Path) -> list[str]:
    """Name the columns that rows of a log have, some at least."""
    path = Path(folder)
    with reading(path):
        schema = _schema(_files(path))
    return list(COLUMNS) if schema is None else schema.names


def read_log(
    folder: str | Path,
    since: object = None,
    until: object = None,
    *,
    columns: Sequence[str] | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Iterator[pd.DataFrame]:
    """Read the rows of a prediction log part by part, so that memory does not grow with them.

    Parameters
    ----------
    folder
        Of the log.
    since, until
        Points of time, as pandas reads them (UTC where they name no zone): rows from `since` on and before `until`.
    columns
        Which ones; by default all. One that a file has not is null.
    batch_rows
        Rows of a part, at most.

    Yields
    ------
    DataFrame
        Rows in no order, under a fresh index; `time` in UTC. Features stand in columns `feature_<name>`.

    Raises
    ------
    InputError
        The folder holds no log, a point of time is none, or a file is damaged.
    """
    path = Path(folder)
    if not is_log(path):
        raise InputError(f"{str(path)!r} holds no prediction log. Give the folder that --log or METAMODEL_LOG named.")
    between = _between(since, until)
    with reading(path):
        files = _files(path)
        schema = _schema(files)
        if schema is None:
            yield pd.DataFrame(columns=list(columns or COLUMNS))
            return
        names = list(columns or schema.names)
        if unknown := [name for name in names if name not in schema.names]:
            schema = pa.schema([*schema, *(pa.field(name, COLUMNS.get(name) or pa.null()) for name in unknown)])
        yield from _parts(ds.dataset(files, schema=schema, format=_PROVEN), names, between, batch_rows)


def _files(path: Path) -> list[str]:
    """Name every file that counts: new ones first, because a compaction may end between the two looks."""
    new = new_files(path)
    compacted, taken = open_log_store(path).snapshot()
    return [str(file) for file in (*compacted, *(file for file in new if file.name not in taken))]


def _schema(files: Sequence[str]) -> pa.Schema | None:
    """Put the files' columns together; None where there are no files."""
    schema: pa.Schema | None = None
    for file in files:
        with _damage(file):
            columns = pq.read_schema(file).remove_metadata()
            schema = columns if schema is None else pa.unify_schemas([schema, columns])
    return schema


@contextmanager
def _damage(file: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        kind = short_line(str(error))
        raise InputError(f"{file} of the log is damaged ({kind}). `metamodel compact-log` sets it aside.") from error


def _parts(
    dataset: ds.Dataset, names: Sequence[str], between: ds.Expression | None, batch_rows: int
) -> Iterator[pd.DataFrame]:
    gathered: list[pa.RecordBatch] = []
    rows, empty = 0, True
    for batch in _batches(dataset, names, between, batch_rows):  # small files give small batches
        if rows + batch.num_rows > batch_rows and gathered:
            yield _frame(gathered)
            gathered, rows = [], 0
        if batch.num_rows:
            gathered.append(batch)
            rows, empty = rows + batch.num_rows, False
    if gathered or empty:
        yield _frame(gathered or [_nothing(dataset, names)])


def _batches(
    dataset: ds.Dataset, names: Sequence[str], between: ds.Expression | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Read row group by row group: a scan of the whole data set, or of a file, runs ahead of whoever takes his time."""
    for fragment in dataset.get_fragments(between):
        with _damage(fragment.path):
            check_opened(Path(fragment.path), names, by_group=True)
            groups = fragment.split_by_row_group(between, schema=dataset.schema)
        for group in groups:
            batches = group.to_batches(dataset.schema, columns=names, filter=between, batch_size=batch_rows)
            while (batch := _next(batches, fragment.path)) is not None:
                yield batch


def _next(batches: Iterator[pa.RecordBatch], file: str) -> pa.RecordBatch | None:
    """Read the next batch, in a call of its own: what its user raises is no damage of the file."""
    with _damage(file):
        return next(batches, None)


def _nothing(dataset: ds.Dataset, names: Sequence[str]) -> pa.RecordBatch:
    fields = [dataset.schema.field(name) for name in names]
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in fields], schema=pa.schema(fields))


def _frame(batches: Sequence[pa.RecordBatch]) -> pd.DataFrame:
    return pa.Table.from_batches(batches).to_pandas()


def _between(since: object, until: object) -> ds.Expression | None:
    condition: Any = None
    for name, point in (("since", since), ("until", until)):
        if point is None:
            continue
        bound = pa.scalar(_moment(name, point), pa.timestamp("us", "UTC"))
        field = ds.field("time")
        one = field >= bound if name == "since" else field < bound
        condition = one if condition is None else condition & one
    return condition


def _moment(name: str, point: object) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(point)
    except (ValueError, TypeError) as error:
        raise InputError(f'{name}={short(point)} is no point of time. Give one such as "2026-11-29".') from error
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
