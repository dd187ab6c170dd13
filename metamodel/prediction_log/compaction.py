"""Put the small files of a log together, by day; delete old rows, and forget whoever wants to be forgotten.

One process does it at a time, while the log is written and read. It may be killed at any moment: the same command goes
on where it was, and no row is lost or there twice.
"""

import datetime as dt
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metamodel.common.times import microseconds_in
from metamodel.common.whole_files import is_being_written
from metamodel.exceptions import InputError
from metamodel.prediction_log.log_counts import COUNTS_DIR, add_up, unreadable_counts
from metamodel.prediction_log.log_files import DAMAGE, NEW_DIR, new_files
from metamodel.prediction_log.log_locks import removing, the_only_writer
from metamodel.prediction_log.log_reader import is_log
from metamodel.prediction_log.log_settings import LOG_VARIABLES
from metamodel.prediction_log.log_store import DAY, LogStore, open_log_store
from metamodel.prediction_log.pseudonyms import entity_text, pseudonym
from metamodel.tables.parquet.opened_size import check_opened

__all__ = ["Compacted", "compact_log"]

# New files that go into one change, so that neither memory nor what a kill undoes grows with the log.
_FILES_AT_ONCE = 500

# Files that cannot be read, or whose columns have other types than those of the log.
_DAMAGED = "damaged"

# What pandas can tell as nanoseconds.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261

# An unfinished file that is older has no writer any more.
_UNFINISHED_SECONDS = 3600


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes
    ----------
    files, rows
        New files that were taken in, and their rows.
    damaged
        New files that were set aside.
    deleted, forgotten
        Rows that were too old, and rows of those who were forgotten.
    """

    files: int = 0
    rows: int = 0
    damaged: int = 0
    deleted: int = 0
    forgotten: int = 0

    def to_dict(self) -> dict[str, int]:
        """Plain JSON form."""
        return asdict(self)


def compact_log(
    folder: str | Path,
    *,
    delete_older: str | dt.timedelta | None = None,
    forget_entity: Sequence[Sequence[Any]] = (),
    secret: str | None = None,
) -> Compacted:
    """Compact a prediction log.

    Parameters
    ----------
    folder
        Of the log.
    delete_older
        Delete the rows of days that lie longer ago, such as "90d".
    forget_entity
        Entities whose rows are deleted, each as the values of the entity columns, such as ``[["c-17"]]``.
    secret
        Key of the pseudonyms; by default METAMODEL_LOG_SECRET.

    Raises
    ------
    InputError
        There is no log, another process compacts it, a length of time is none, or the key is missing.
    """
    path = Path(folder)
    if not is_log(path):
        raise InputError(f"{str(path)!r} holds no prediction log. Give the folder that --log or METAMODEL_LOG named.")
    age, entities = microseconds_in(delete_older, "delete_older"), _pseudonyms(forget_entity, secret)
    with the_only_writer(path):
        store = open_log_store(path)
        _unlink_taken(path, store)
        _tidy(path, store, wait=False)  # whoever reads now holds nothing up; what a kill has left goes at the end
        done = _take_in(path, store)
        since = "" if age is None else _day_before(age)
        _set_aside(path, unreadable_counts(path))
        add_up(path, since)
        deleted = store.delete_before(since) if since else 0
        forgotten = store.forget(entities) if entities else 0
        if done.files or since or entities:  # also where a killed one has deleted already: its files lie there yet
            _tidy(path, store)
    return Compacted(**{**done.to_dict(), "deleted": deleted, "forgotten": forgotten})


def _pseudonyms(entities: Sequence[Sequence[Any]], secret: str | None) -> set[str]:
    key = os.environ.get(LOG_VARIABLES["secret"], "") if secret is None else secret
    if entities and not key:
        raise InputError(f"Nobody can be forgotten without the key of the pseudonyms. Set {LOG_VARIABLES['secret']}.")
    texts = {entity_text(values) for values in entities}
    if "" in texts:
        raise InputError("One of the entities to forget names nobody (a value is missing, or a fraction). Correct it.")
    return {pseudonym(text, key) for text in texts}


def _day_before(microseconds: int) -> str:
    return str((dt.datetime.now(dt.UTC) - dt.timedelta(microseconds=microseconds)).date())


def _unlink_taken(path: Path, store: LogStore) -> None:
    """Take away the new files that a killed compaction took in, before the next change names others as taken."""
    _, taken = store.snapshot()
    if left := [file for file in new_files(path) if file.name in taken]:
        with removing(path):
            for file in left:
                file.unlink()


def _tidy(path: Path, store: LogStore, *, wait: bool = True) -> None:
    """Take away what no reader needs: earlier versions, and what a kill has left."""
    with removing(path, wait=wait) as nobody_reads:
        if nobody_reads:
            store.clean()
    for file in [*(path / NEW_DIR).glob(".*"), *(path / COUNTS_DIR).glob(".*")]:
        is_old = file.stat().st_mtime < time.time() - _UNFINISHED_SECONDS
        if is_old and not is_being_written(file):  # a clock may have been set meanwhile
            file.unlink(missing_ok=True)


def _take_in(path: Path, store: LogStore) -> Compacted:
    """Take in all new files that there are now, some hundred at a time."""
    waiting, schema = new_files(path), store.schema()
    files = rows = damaged = 0
    for start in range(0, len(waiting), _FILES_AT_ONCE):
        chunk, schema, odd = _readable(waiting[start : start + _FILES_AT_ONCE], schema)
        damaged += len(odd)
        _set_aside(path, odd)
        if chunk and schema is not None:
            rows += sum(pq.read_metadata(file).num_rows for file in chunk)
            files += len(chunk)
            of_chunk = schema.append(pa.field(DAY, pa.date32()))
            store.append(_tables(chunk, of_chunk), of_chunk, [file.name for file in chunk])
            with removing(path):
                for file in chunk:
                    file.unlink()
    return Compacted(files, rows, damaged)


def _set_aside(path: Path, odd: Collection[Path]) -> None:
    for file in odd:
        (path / _DAMAGED).mkdir(exist_ok=True)
        file.rename(path / _DAMAGED / file.name)


def _readable(files: Collection[Path], schema: pa.Schema | None) -> tuple[list[Path], pa.Schema | None, list[Path]]:
    """Tell files that can be taken in from others; `schema` grows by what they have more."""
    readable, odd = [], []
    for file in files:
        try:
            check_opened(file)
            # All of it: who has begun to write the compacted files cannot set one of these aside any more.
            table = pq.read_table(file, partitioning=None, page_checksum_verification=True)
            its = table.schema.remove_metadata()
            _check_days(table)
            schema = its if schema is None else pa.unify_schemas([schema, its])
        except (*DAMAGE, KeyError, OverflowError):
            odd.append(file)
        else:
            readable.append(file)
    return readable, schema, odd


def _days(table: pa.Table) -> pa.ChunkedArray:
    return pc.cast(pc.cast(table["time"], pa.timestamp("us")), pa.date32())


def _check_days(table: pa.Table) -> None:
    """Raise `ValueError` where rows have no day, or say it themselves: nobody would find, or delete, them by it."""
    if DAY in table.column_names or table["time"].null_count:
        raise ValueError("rows without a time, or with a day of their own")
    if table.num_rows:
        first, last = pc.min_max(_days(table)).as_py().values()  # OverflowError where there is no such day
        if first.year < _FIRST_YEAR or last.year > _LAST_YEAR:
            raise ValueError(f"rows of {first} to {last}")


def _tables(files: Collection[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Read one file after the other, each with all columns, and the day of every row."""
    for file in files:
        table = pq.read_table(file, partitioning=None, page_checksum_verification=True)
        table = table.append_column(DAY, _days(table))
        missing = [field for field in schema if field.name not in table.column_names]
        for field in missing:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        yield table.select(schema.names).cast(schema)
