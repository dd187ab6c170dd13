"""Bodies that are tables: Parquet, bounded before it is built, and the lines of CSV.

Of Parquet the model's columns alone are read, and each text is held once.

A body of a megabyte can open to gigabytes: repeated values, a dictionary of long texts, lists. A server that reads it
whole has lost already.
"""

import csv
import io
from collections.abc import Collection, Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.byte_cache import limit_in_bytes
from metamodel.tables.parquet.opened_size import opened_bytes

__all__ = ["BodyTooLarge", "csv_header", "filled_csv_lines", "opened_limit", "read_parquet_table"]

# What a body may open to, in megabytes.
OPENED_VARIABLE = "METAMODEL_MAX_OPENED_MB"

_OPENED_MEGABYTES = 1024


class BodyTooLarge(ValueError):
    """A body would open to more than the server takes; the message holds nothing of it."""


def opened_limit() -> int:
    """Bytes that a body may open to, by METAMODEL_MAX_OPENED_MB.

    Raises
    ------
    InputError
        That is no number, or below 0.
    """
    return limit_in_bytes(OPENED_VARIABLE, _OPENED_MEGABYTES)


def read_parquet_table(body: io.BytesIO, columns: Collection[str], limit: int) -> pd.DataFrame:
    """Read the columns of a model, if what they open to is within a limit by the file's own pages.

    Parameters
    ----------
    body
        The file.
    columns
        Names; others are not read.
    limit
        Bytes.

    Raises
    ------
    BodyTooLarge
        The columns would take more.
    ValueError
        A column holds lists or records, or is encoded so that its size is not known.
    pyarrow.ArrowException, OSError
        The body is no Parquet file.
    """
    schema = pq.read_schema(body)
    names = [name for name in schema.names if name in columns]
    if any(pa.types.is_nested(schema.field(name).type) for name in names if schema.names.count(name) == 1):
        raise ValueError("A column holds lists or records.")
    texts = [name for name in names if schema.names.count(name) == 1 and _is_text(schema.field(name).type)]
    body.seek(0)
    # Texts stay in their dictionary, so that one that stands in every row is held once.
    file = pq.ParquetFile(body, read_dictionary=texts)
    size = opened_bytes(file.metadata, set(names), body)
    if size > limit:
        raise BodyTooLarge(f"The body's columns open to {size:,} bytes; this server takes {limit:,}.")
    frame = file.read(columns=names).to_pandas()
    return frame.assign(**{name: frame[name].astype(object) for name in texts if name in frame.columns})


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind))


def filled_csv_lines(body: str) -> Iterator[list[str]]:
    """Read the fields of each line of a CSV body that is not blank, in time that is linear in its length."""
    lines = csv.reader(io.StringIO(body.removeprefix("\ufeff"), newline=""))
    return (fields for fields in lines if fields and (len(fields) > 1 or fields[0].strip()))


def csv_header(body: str) -> list[str]:
    """Read the first line that is not blank, as pandas does, in time that is linear in its columns."""
    header = next(filled_csv_lines(body), None)
    if header is None:
        raise pd.errors.EmptyDataError("no header")
    return header
