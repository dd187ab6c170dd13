"""Parquet files of kilobytes that open to much more, some of which deny it."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["as_file", "lying"]


def as_file(table: pa.Table, **options: object) -> bytes:
    """Write a table, compressed."""
    body = io.BytesIO()
    pq.write_table(table, body, compression="zstd", **options)
    return body.getvalue()


def lying(content: bytes) -> bytes:
    """Let a file's footer say that each of its columns opens to 100 bytes."""
    metadata = pq.read_metadata(io.BytesIO(content))
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer = content[start:]
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            true = _varint(column.total_uncompressed_size)
            assert true in footer
            footer = footer.replace(true, _varint(100, len(true)))
    return content[:start] + footer


def _varint(number: int, length: int = 0) -> bytes:
    """Encode as Thrift's compact protocol does, in so many bytes at least."""
    left, digits = number << 1, bytearray()
    while left or len(digits) < max(length, 1):
        digits.append(left & 127 | 128)
        left >>= 7
    digits[-1] &= 127
    return bytes(digits)
