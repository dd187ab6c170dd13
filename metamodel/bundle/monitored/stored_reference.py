"""The reference of all groups as one file of a bundle: a row a group, each array as bytes.

Parquet, compressed: `key`, and of every array of `DriftReference` its bytes for this group (little-endian). The
metadata of the schema say type and shape of each array, and what all groups share.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.array_files import proven_table
from metamodel.bundle.reader import Bundle
from metamodel.common.arrays import AnyArray
from metamodel.common.background import Background, run_beside
from metamodel.evaluation.drift.drift_reference import DriftReference

__all__ = ["DRIFT_NAME", "drift_of_table", "drift_table", "read_drift", "write_drift"]

DRIFT_NAME = "drift.parquet"

_META = b"metamodel.drift"

# Columns of the file that say which bins a group has.
_BINS = ("key", "edges", "commonest")


def write_drift(
    directory: Path, keys: Sequence[str], reference: DriftReference, background: Background | None = None
) -> None:
    """Write the reference into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    keys
        Encoded keys of its groups.
    reference
        Of these groups.
    background
        Writes it while this thread goes on; None to write it here.
    """
    table = drift_table(pa.array(keys, pa.string()), reference)
    write = partial(pq.write_table, table, directory / DRIFT_NAME, compression="zstd", use_dictionary=False)
    run_beside(background, write)


def drift_table(keys: pa.Array, reference: DriftReference) -> pa.Table:
    """Make a table of a reference: a row a group, under any keys."""
    columns: dict[str, pa.Array] = {"key": keys}
    shapes = {}
    for name, array in reference.to_arrays().items():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        shapes[name] = [little.dtype.str, list(little.shape[1:])]
        width = little.dtype.itemsize * int(np.prod(little.shape[1:]))
        if not width:  # a model without numbers, or without categories
            continue
        columns[name] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(keys), [None, pa.py_buffer(little)])
    meta = json.dumps({"shapes": shapes, "shared": reference.to_meta()})
    return pa.table(columns).replace_schema_metadata({_META: meta.encode()})


def read_drift(bundle: Bundle, *, bins_only: bool = False) -> tuple[list[str], DriftReference] | None:
    """Read the reference of a bundle's groups.

    Parameters
    ----------
    bundle
        An open bundle.
    bins_only
        Read no more than counting needs: which bins each group has. All other numbers are 0 then.

    Returns
    -------
    keys, reference
        Encoded keys, and their reference; None where the training recorded none.

    Raises
    ------
    CorruptBundle
        The file is not what was written.
    """
    if DRIFT_NAME not in bundle.manifest.files:
        return None
    with proven_table(bundle.path, DRIFT_NAME, bundle.manifest.files) as content:
        names = [name for name in pq.read_schema(content).names if name in _BINS or not bins_only]
        return drift_of_table(pq.read_table(content, columns=names))


def drift_of_table(table: pa.Table) -> tuple[list[Any], DriftReference]:
    """Inverse of `drift_table`: keys, and their reference."""
    meta = json.loads(table.schema.metadata[_META])
    arrays = {name: _array(table, name, dtype, shape) for name, (dtype, shape) in meta["shapes"].items()}
    return table["key"].to_pylist(), DriftReference.from_arrays(meta["shared"], arrays)


def _array(table: pa.Table, name: str, dtype: str, shape: Sequence[int]) -> AnyArray:
    if name not in table.column_names:
        return np.zeros((table.num_rows, *shape), dtype=np.dtype(dtype).newbyteorder("="))  # takes no memory
    column = table[name]
    # To combine a single chunk, too, would copy it.
    values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    content = values.buffers()[1] if len(values) else b""
    flat = np.frombuffer(content, dtype=dtype)
    size = len(values) * int(np.prod(shape))
    start = values.offset * int(np.prod(shape))
    return flat[start : start + size].reshape(len(values), *shape).astype(np.dtype(dtype).newbyteorder("="), copy=False)
