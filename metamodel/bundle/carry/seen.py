"""Which rows each child has seen, by a 64-bit hash of each, so that a later training can tell the fresh ones.

One Parquet file, a row a group: `key` (encoded), and `hashes` (sorted, little-endian, 8 bytes a row), as they are:
hashes do not compress. Nothing but an update reads it.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.array_files import proven_table
from metamodel.bundle.reader import Bundle
from metamodel.common.arrays import HashArray

__all__ = ["SEEN_NAME", "read_seen", "write_seen"]

SEEN_NAME = "seen.parquet"

_STORED = np.dtype("<u8")

# Groups whose rows lie in memory a second time while they are written.
_GROUPS = 10_000


def write_seen(directory: Path, seen: Mapping[str, HashArray]) -> None:
    """Write which rows have been seen into an unfinished bundle; no file where nothing is known of any group.

    Parameters
    ----------
    directory
        The bundle's directory.
    seen
        Encoded key → sorted, distinct hashes.
    """
    if not seen:
        return
    schema, keys = pa.schema([("key", pa.string()), ("hashes", pa.binary())]), sorted(seen)
    with pq.ParquetWriter(directory / SEEN_NAME, schema, compression="none", use_dictionary=False) as file:
        for start in range(0, len(keys), _GROUPS):
            part = keys[start : start + _GROUPS]
            hashes = [seen[key].astype(_STORED, copy=False).tobytes() for key in part]
            file.write_table(pa.table({"key": part, "hashes": hashes}, schema=schema))


def read_seen(bundle: Bundle) -> dict[str, HashArray]:
    """Read which rows the children of a bundle have seen, by encoded key; empty where they are not remembered.

    Raises
    ------
    CorruptBundle
        The file is not what was written.
    """
    if SEEN_NAME not in bundle.manifest.files:
        return {}
    with proven_table(bundle.path, SEEN_NAME, bundle.manifest.files) as content:
        table = pq.read_table(content)
        if table["hashes"].type != pa.binary():
            raise TypeError(f"its hashes are {table['hashes'].type}")
        hashes = [values for chunk in table["hashes"].chunks for values in _arrays(chunk)]
        return dict(zip(table["key"].to_pylist(), hashes, strict=True))


def _arrays(binary: pa.BinaryArray) -> Iterator[HashArray]:
    """View each value of a column of bytes as hashes, without an object of Arrow for each."""
    _, offsets, content = binary.buffers()
    every = np.frombuffer(content or b"", dtype=_STORED)
    bounds = np.frombuffer(offsets, dtype=np.int32)[binary.offset : binary.offset + len(binary) + 1]
    for start, end in itertools.pairwise((bounds // _STORED.itemsize).tolist()):
        yield every[start:end]
