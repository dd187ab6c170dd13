"""What columns of a Parquet file take in memory, by what their pages say, before one of them is opened.

A file of kilobytes can open to gigabytes: repeated values, a dictionary of long texts, one long text. A footer that
says otherwise is not believed.
"""

import os
from collections.abc import Callable, Collection, Sequence
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metamodel.tables.parquet.page_headers import DICTIONARY_PAGE, pages

__all__ = ["OpensTooFar", "check_opened", "opened_bytes"]

# How texts may be encoded: of these none repeats what a page holds once. One of prefixes can open to any size.
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_LENGTH_BYTE_ARRAY"}

# Bytes of a value in memory beside a text's own, at most.
_VALUE = 16

# Share of the machine's memory that one file, or one of its row groups, may take.
_SHARE = 0.5

_LEAST = 2**30

# Pages of a body that are looked at.
_MOST_LOOKS = 50_000


class OpensTooFar(ValueError):
    """A file would open to more than there is room for; the message holds nothing of it."""


def check_opened(source: bytes | Path, columns: Collection[str] | None = None, *, by_group: bool = False) -> None:
    """Refuse a file whose columns take half of the machine's memory or more.

    Parameters
    ----------
    source
        The file, or its bytes.
    columns
        Names; None for all.
    by_group
        It is read one row group at a time, and only the largest one counts.

    Raises
    ------
    OpensTooFar
        They take more.
    ValueError
        A column is encoded so that its size is not known, or its pages say nothing.
    pyarrow.ArrowException, OSError
        It is no Parquet file.
    """
    file = pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source))
    with file, pq.ParquetFile(file) as opened:
        names = set(opened.schema_arrow.names if columns is None else columns)
        sizes = [_group_bytes(opened.metadata, i, names, _reader(file)) for i in range(opened.num_row_groups)]
        size = max((group for group, _ in sizes), default=0) if by_group else sum(group for group, _ in sizes)
        _refuse(size)
        repeated = {name for _, texts in sizes for name in texts if texts[name] > _limit() - size}
    for name in sorted(repeated):
        size += _text_bytes(source, name)
        _refuse(size)


def opened_bytes(metadata: pq.FileMetaData, names: Collection[str], body: BytesIO) -> int:
    """Bytes that columns take where texts stay in their dictionaries.

    Raises
    ------
    ValueError
        A column is encoded so that its size is not known, or its pages say nothing, or are more than can be looked at
        in a second.
    """
    looks = 0

    def read(start: int, size: int) -> bytes:
        nonlocal looks
        looks += 1
        if looks > _MOST_LOOKS:
            raise ValueError("The file has too many pages.")
        body.seek(start)
        return body.read(size)

    return sum(_group_bytes(metadata, i, names, read)[0] for i in range(metadata.num_row_groups))


def _reader(file: pa.NativeFile) -> Callable[[int, int], bytes]:
    def read(start: int, size: int) -> bytes:
        file.seek(start)
        content: bytes = file.read(size)
        return content

    return read


def _group_bytes(
    metadata: pq.FileMetaData, number: int, names: Collection[str], read: Callable[[int, int], bytes]
) -> tuple[int, dict[str, int]]:
    """Bytes of a row group, and what each column of texts takes at most when every row repeats its whole dictionary."""
    group = metadata.row_group(number)
    size, repeated = 0, dict[str, int]()
    for position in range(group.num_columns):
        column = group.column(position)
        name = column.path_in_schema.partition(".")[0]
        if name not in names and column.path_in_schema not in names:
            continue
        rows, is_text = max(column.num_values, group.num_rows, 0), column.physical_type == "BYTE_ARRAY"
        if "BYTE_ARRAY" in column.physical_type:
            _check_encodings(column.encodings)
        opened, dictionary = _page_bytes(column, read)
        width = max(_VALUE, metadata.schema.column(position).length or 0)
        size += max(opened, column.total_uncompressed_size) + width * rows
        if is_text and dictionary:
            repeated[name] = repeated.get(name, 0) + dictionary * rows
    return size, repeated


def _page_bytes(column: pq.ColumnChunkMetaData, read: Callable[[int, int], bytes]) -> tuple[int, int]:
    """Bytes that a column's pages open to, and those of its dictionary among them."""
    if column.num_values <= 0:  # then no page is looked at, and there may be none
        return 0, 0
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    size = dictionary = 0
    for page in pages(read, start, start + column.total_compressed_size):
        size += page.opened
        dictionary += page.opened if page.kind == DICTIONARY_PAGE else 0
    return size, dictionary


def _check_encodings(encodings: Sequence[str]) -> None:
    if not set(encodings) <= _ENCODINGS:
        raise ValueError("A column of texts is encoded in a way that hides its size.")


def _text_bytes(source: bytes | Path, name: str) -> int:
    """Bytes of a column's texts, each counted as often as it stands there; its dictionaries alone are opened."""
    place = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
    size = 0
    if pa.types.is_nested(pq.read_schema(place).field(name).type):
        raise OpensTooFar("A column of lists or records repeats long texts.")
    with pq.ParquetFile(place, read_dictionary=[name]) as opened:
        for batch in opened.iter_batches(columns=[name]):
            texts = batch.column(0)
            lengths = pc.binary_length(texts.dictionary).cast(pa.int64())
            size += pc.sum(lengths.take(texts.indices)).as_py() or 0
            _refuse(size)
    return size


def _limit() -> int:
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        memory = 0
    return max(_LEAST, int(_SHARE * memory))


def _refuse(size: int) -> None:
    if size > _limit():
        raise OpensTooFar(f"It opens to {size:,} bytes and more, and {_limit():,} may be taken.")
