"""Read tables from files and write them: CSV, Parquet, folders of Parquet files, and Delta."""

import lzma
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pandas._libs.parsers import STR_NA_VALUES

from metamodel.common.messages import did_you_mean, listing
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError
from metamodel.tables.arrow import plain_frame, stored_schema
from metamodel.tables.delta import PREFIX, is_delta, read_delta, write_delta
from metamodel.tables.large_integers import as_integers, integer_columns, suspect_columns, with_exact_integers

__all__ = ["csv_options", "is_csv", "read_batches", "read_table", "write_table"]

_CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".tsv")

_PARQUET = (".parquet", ".pq")

_BATCH_ROWS = 200_000

# Reads every number as it was written; since pandas 3.1 that is how pandas reads, and the option is deprecated.
_EXACT = {"float_precision": "round_trip"} if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) else {}

# What readers raise for damaged or foreign bytes, decompressors included.
_UNREADABLE = (
    pd.errors.ParserError,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
    pa.ArrowException,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)


def read_table(path: str | Path, group_by: Sequence[str] = (), text_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a whole table.

    Parameters
    ----------
    path
        A CSV file, a Parquet file, a folder of Parquet files, or a Delta table (`metamodel.tables.delta`).
    group_by
        Group columns. In a CSV file only an empty field is null there, and in columns of text: the country code "NA" is
        Namibia, and the label "None" is one.
    text_columns
        Columns of a CSV file to keep as text even where they look like numbers.

    Raises
    ------
    InputError
        The file is missing, empty, unreadable, or names a column twice.
    """
    frames = list(read_batches(path, group_by, text_columns, batch_rows=None))
    return frames[0]


def read_batches(
    path: str | Path,
    group_by: Sequence[str] = (),
    text_columns: Sequence[str] = (),
    batch_rows: int | None = _BATCH_ROWS,
) -> Iterator[pd.DataFrame]:
    """Read a table in parts of at most `batch_rows` rows (None: in one part); see `read_table`."""
    if is_delta(path):
        yield from read_delta(path, batch_rows)
        return
    path = Path(path)
    if not path.exists():
        from metamodel.datasets import SAMPLES  # opening a model needs no sample

        raise InputError(
            f"There is no file or folder {str(path)!r}. Check the path (relative paths start at {Path.cwd()})."
            f"{did_you_mean(path.name, [*SAMPLES, *_neighbours(path)])}"
        )
    name = path.name.lower()
    try:
        if name.endswith(_CSV):
            yield from _read_csv(path, group_by, text_columns, batch_rows)
        elif path.is_dir() or name.endswith(_PARQUET):
            yield from _read_parquet(path, batch_rows)
        else:
            raise InputError(
                f"{path.name!r} is no table that can be read. Use {', '.join((*_CSV[:2], *_PARQUET[:1]))} or a folder."
            )
    except ImportError as error:
        raise InputError(
            f"{path.name!r} cannot be read without the package zstandard. Install it with: pip install zstandard"
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
        raise InputError(
            f"{str(path)!r} cannot be read: {reason}. Check that the file is complete and of its kind."
        ) from error


def _neighbours(path: Path, most: int = 1000) -> list[str]:
    """Name what lies beside a path that does not exist."""
    try:
        return [entry.name for entry in islice(os.scandir(path.parent), most)]
    except OSError:
        return []


def write_table(path: str | Path, frames: Iterable[pd.DataFrame]) -> int:
    """Write parts of a table to one CSV or Parquet file, under a temporary name until it is complete, or to Delta.

    Returns
    -------
    int
        Rows written.
    """
    if str(path).startswith(PREFIX):
        return write_delta(str(path), frames)
    path = Path(path)
    name = path.name.lower()
    if not name.endswith((".csv", *_PARQUET)):
        raise InputError(
            f"{path.name!r} is no table that can be written. End the name with .parquet or .csv, "
            f"or begin it with {PREFIX}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        return (_write_csv if name.endswith(".csv") else _write_parquet)(unfinished, frames)


def csv_options(columns: Sequence[str], group_by: Sequence[str], text_columns: Sequence[str]) -> dict[str, Any]:
    """Make options for `pandas.read_csv` under which group columns and texts keep words that it takes for null ("NA").

    In these columns only an empty field is null; a number that is "NA" or "null" is none.
    """
    texts = {*group_by, *text_columns}
    return {
        "keep_default_na": False,
        "na_values": {name: [""] if name in texts else sorted(STR_NA_VALUES) for name in columns},
        "dtype": dict.fromkeys(text_columns, str),
        "low_memory": False,
        # The default parser is three times as fast, and wrong in the last digit now and then.
        **_EXACT,
    }


def is_csv(path: str | Path) -> bool:
    """Whether a file's name is that of a CSV file."""
    return Path(path).name.lower().endswith(_CSV)


def _read_csv(
    path: Path, group_by: Sequence[str], text_columns: Sequence[str], batch_rows: int | None
) -> Iterator[pd.DataFrame]:
    separator = "\t" if path.name.lower().endswith(".tsv") else ","
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
    columns = header.iloc[0].tolist()
    # pandas would rename the second "a" to "a.1" and go on.
    _refuse_twice(path, columns)
    options = {"sep": separator, **csv_options(columns, group_by, text_columns)}
    if batch_rows is None:
        frame = _with_words(pd.read_csv(path, **options), path, options)
        frame = with_exact_integers(frame, path, options)
        yield _with_leading_zeros(frame, path, group_by, options)
        return
    kinds: dict[str, set[str]] = {}
    suspect: set[str] = set()
    with pd.read_csv(path, chunksize=batch_rows, **options) as parts:
        for i, part in enumerate(parts):
            if i == 0 and len(part) < batch_rows:
                yield with_exact_integers(part, path, options)
                return
            suspect |= suspect_columns(part)
            for name, dtype in part.dtypes.items():
                kinds.setdefault(str(name), set()).add(str(dtype))
    common = _common(kinds)
    exact = integer_columns(path, options, {name for name in suspect if kinds[name] not in _INTEGERS})
    common |= dict.fromkeys(exact, str)
    with pd.read_csv(path, chunksize=batch_rows, **{**options, "dtype": options["dtype"] | common}) as parts:
        for part in parts:
            yield as_integers(part, exact)


def _common(kinds: Mapping[str, set[str]]) -> dict[str, Any]:
    """Choose a type for each column that pandas would read as numbers in one part and as something else in another."""
    return {name: "float64" if found <= _NUMBERS else str for name, found in kinds.items() if len(found) > 1}


_NUMBERS = {"int64", "uint64", "float64"}

_INTEGERS = ({"int64"}, {"uint64"})


def _with_words(frame: pd.DataFrame, path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    """Keep "None", "NA" and "null" in columns of text, where they are labels or codes like any other."""
    with_nulls = [name for name in frame.columns if frame[name].isna().any()]
    texts = [name for name in with_nulls if pd.api.types.infer_dtype(frame[name], skipna=True) == "string"]
    if not texts:
        return frame
    words = {"usecols": texts, "dtype": str, "na_values": {name: [""] for name in texts}}
    return frame.assign(**pd.read_csv(path, **{**options, **words}))


def _with_leading_zeros(
    frame: pd.DataFrame, path: Path, group_by: Sequence[str], options: Mapping[str, Any]
) -> pd.DataFrame:
    """Keep group columns such as "007" text: as numbers, "007" and "7" would become one group."""
    numbers = [name for name in group_by if name in frame.columns and frame[name].dtype.kind in "iuf"]
    if not numbers:
        return frame
    texts = pd.read_csv(path, **{**options, "usecols": numbers, "dtype": str})
    return frame.assign(**{name: texts[name] for name in numbers if texts[name].str.match("[+-]?0[0-9]").any()})


def _refuse_twice(path: Path, columns: Sequence[str]) -> None:
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise InputError(f"{path.name!r} has more than one column named {listing(map(repr, twice))}. Rename one.")


def _read_parquet(path: Path, batch_rows: int | None) -> Iterator[pd.DataFrame]:
    try:
        dataset = ds.dataset(path, format="parquet", partitioning="hive" if path.is_dir() else None)
    except pa.ArrowInvalid:
        # Arrow refuses a name that is there twice, but does not say which.
        for file in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
            _refuse_twice(file, pq.read_schema(file).names)
        raise
    if not dataset.files:
        raise InputError(f"The folder {str(path)!r} holds no Parquet file. Check the path.")
    if batch_rows is None:
        yield plain_frame(dataset.to_table())
        return
    empty = True
    for batch in dataset.to_batches(batch_size=batch_rows):
        if batch.num_rows:
            empty = False
            yield plain_frame(pa.Table.from_batches([batch]))
    if empty:
        yield plain_frame(dataset.schema.empty_table())


def _write_csv(path: Path, frames: Iterable[pd.DataFrame]) -> int:
    rows = 0
    for i, frame in enumerate(frames):
        frame.to_csv(path, mode="a" if i else "w", header=i == 0, index=False)
        rows += len(frame)
    return rows


def _write_parquet(path: Path, frames: Iterable[pd.DataFrame]) -> int:
    rows, writer = 0, None
    try:
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(path, stored_schema(table.schema))
            writer.write_table(table.cast(writer.schema))
            rows += len(frame)
    finally:
        if writer is not None:
            writer.close()
    return rows
