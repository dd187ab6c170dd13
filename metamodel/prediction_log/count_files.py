"""Counts of a window's rows in a file: what is kept where no row is.

The file is Parquet: a row a group, `key`, the bins that its counts stand in (`bins`), `rows`, `labelled`, `intervals`
(labelled rows with an interval) and `outside` (those beyond it), and of each column of the reference twelve integers.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.whole_files import whole_file
from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.time_functions import TimeFunctions
from metamodel.evaluation.drift.window_counts import TOTALS, WindowCounts
from metamodel.exceptions import InputError
from metamodel.tables.parquet.opened_size import check_opened

__all__ = ["counts_of", "is_count_file", "read_counts", "table_of_counts", "write_counts"]

# Schema metadata of a count file.
_META = b"metamodel.window"

# Of a group in a window; a thousand years of a million a second.
_MOST_ROWS = 2**55

# Before the name of a column that is counted.
_PREFIX = "counts:"


def table_of_counts(counts: WindowCounts) -> pa.Table:
    """Make the table that a count file holds."""
    columns: dict[str, Any] = {"key": pa.array(counts.keys, pa.string()), "bins": pa.array(counts.bins, pa.uint64())}
    columns |= {name: pa.array(counts.totals[:, i]) for i, name in enumerate(TOTALS)}
    for i, name in enumerate(counts.columns):
        values = pa.array(np.ascontiguousarray(counts.counts[:, i]).reshape(-1), pa.int64())
        columns[f"{_PREFIX}{name}"] = pa.FixedSizeListArray.from_arrays(values, SLOTS)
    meta = {
        "of_times": None if counts.of_times is None else counts.of_times.to_dict(),
        "unreadable": counts.unreadable,
        "absent": list(counts.absent),
        "window": counts.window,
    }
    return pa.table(columns).replace_schema_metadata({_META: json.dumps(meta).encode()})


def counts_of(table: pa.Table) -> WindowCounts:
    """Inverse of `table_of_counts`."""
    names = tuple(name.removeprefix(_PREFIX) for name in table.column_names if name.startswith(_PREFIX))
    counts = np.zeros((table.num_rows, len(names), SLOTS), dtype=np.int64)
    for i, name in enumerate(names):
        flat = table[f"{_PREFIX}{name}"].combine_chunks().flatten()
        counts[:, i] = flat.to_numpy(zero_copy_only=False).reshape(-1, SLOTS)
    totals = np.stack([table[name].to_numpy() for name in TOTALS], axis=1).reshape(table.num_rows, len(TOTALS))
    for numbers in (counts, totals):
        # Sums of more would wrap around, and a window of fewer than no rows hides those of others.
        if numbers.dtype.kind != "i" or (numbers.size and not 0 <= numbers.min() <= numbers.max() <= _MOST_ROWS):
            raise ValueError("some counts are none")
    meta = json.loads((table.schema.metadata or {})[_META])
    keys = tuple(table["key"].to_pylist())
    bins = table["bins"].to_numpy().astype(np.uint64)
    of_times = None if meta["of_times"] is None else TimeFunctions.from_dict(meta["of_times"])
    absent = tuple(meta["absent"])
    return WindowCounts(keys, bins, names, counts, totals, of_times, meta["unreadable"], absent, meta["window"])


def write_counts(counts: WindowCounts, path: Path) -> None:
    """Write a count file, complete or not at all."""
    with whole_file(path, tidy=False) as unfinished:
        pq.write_table(table_of_counts(counts), unfinished, compression="zstd")


def read_counts(path: Path, only: Sequence[str] | None = None) -> WindowCounts:
    """Inverse of `write_counts`; with `only` the counts of some columns, as far as they are there.

    Raises
    ------
    InputError
        The file is no count file.
    """
    try:
        check_opened(path)
        with pq.ParquetFile(path) as file:
            others = set() if only is None else {f"{_PREFIX}{name}" for name in only}
            every = file.schema_arrow.names
            wanted = [name for name in every if only is None or name in others or not name.startswith(_PREFIX)]
            return counts_of(file.read(wanted))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} holds no counts of a window ({error}). Count the rows again.") from error


def is_count_file(path: Path) -> bool:
    """Whether a file holds counts of a window."""
    try:
        return _META in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False
