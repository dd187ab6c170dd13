"""What is left of a window: counts by group, which add up over workers, days and parts, and are read from a file.

The file is Parquet: a row a group, `key`, the bins that its counts stand in (`bins`), `rows`, `labelled`, `intervals`
(labelled rows with an interval) and `outside` (those beyond it), and of each column of the reference twelve integers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.arrays import AnyArray, HashArray, IntArray
from metamodel.common.whole_files import whole_file
from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.drift_columns import functions_of_time
from metamodel.exceptions import InputError
from metamodel.monitoring.model_reference import ModelReference, counted
from metamodel.monitoring.window_rows import OF_LABELS, WindowRows

__all__ = ["INTERVALS", "LABELLED", "OUTSIDE", "ROWS", "WINDOW_META", "WindowCounts", "count_window"]

_TOTALS = ("rows", "labelled", "intervals", "outside")

# Places of the totals.
ROWS, LABELLED, INTERVALS, OUTSIDE = range(4)

# Schema metadata of a count file.
WINDOW_META = b"metamodel.window"


@dataclass(frozen=True)
class WindowCounts:
    """Counts of the groups that occur in a window.

    Attributes
    ----------
    keys
        Encoded keys.
    bins
        `ModelReference.digests` of each, 0 for a group without a reference, shape (n_groups,).
    columns
        Of the reference.
    counts
        Shape (n_groups, n_columns, 12); int64 in memory.
    totals
        Shape (n_groups, 4): rows, labelled rows, labelled ones with an interval, those of them that lie outside.
    of_time
        Columns that are functions of time alone in these rows.
    unreadable, absent
        See `WindowRows`.
    window
        What the window is called; "" where nobody said.
    """

    keys: tuple[str, ...]
    bins: HashArray
    columns: tuple[str, ...]
    counts: AnyArray
    totals: IntArray
    of_time: frozenset[str] = frozenset()
    unreadable: dict[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    window: str = ""

    @cached_property
    def places(self) -> pd.Index:
        """Place of each key."""
        return pd.Index(np.array(self.keys, dtype=object))

    @classmethod
    def together(cls, parts: "Sequence[WindowCounts]") -> "WindowCounts":
        """Add up the counts of several parts of a window: the same to the last bit whatever the parts.

        Raises
        ------
        InputError
            They were counted against different models.
        """
        codes, keys = pd.factorize(np.array([key for part in parts for key in part.keys], dtype=object), sort=True)
        bins = np.zeros(len(keys), dtype=np.uint64)
        counts = np.zeros((len(keys), len(parts[0].columns), SLOTS), dtype=np.int64)
        totals = np.zeros((len(keys), len(_TOTALS)), dtype=np.int64)
        unreadable: dict[str, int] = {}
        start = 0
        for part in parts:
            place = codes[start : start + len(part.keys)]
            start += len(part.keys)
            strange = (bins[place] != 0) & (part.bins != 0) & (bins[place] != part.bins)
            if part.columns != parts[0].columns or strange.any():
                raise InputError("These counts stand in the bins of different models. Add up those of one model.")
            bins[place] = np.maximum(bins[place], part.bins)
            counts[place] += part.counts
            totals[place] += part.totals
            for name, number in part.unreadable.items():
                unreadable[name] = unreadable.get(name, 0) + number
        of_time = frozenset.intersection(*(part.of_time for part in parts))
        absent = tuple(name for name in parts[0].absent if all(name in part.absent for part in parts))
        names = max(part.window for part in parts)
        return cls(tuple(keys.tolist()), bins, parts[0].columns, counts, totals, of_time, unreadable, absent, names)

    def with_labels(self, judged: "WindowCounts") -> "WindowCounts":
        """Put what labels say, counted again of all rows of the window, in the place of what they said before."""
        counts, totals = self.counts.copy(), self.totals.copy()
        place = judged.places.get_indexer(self.places)
        there = place >= 0
        there[there] = judged.bins[place[there]] == self.bins[there]  # a child that was retrained meanwhile has others
        of_labels = [name in OF_LABELS for name in self.columns]
        counts[np.ix_(there, of_labels)] = 0
        totals[there, LABELLED:] = 0
        counts[np.ix_(there, of_labels)] = judged.counts[place[there]][:, of_labels]
        totals[there, LABELLED:] = judged.totals[place[there], LABELLED:]
        return replace(self, counts=counts, totals=totals)

    def aligned(self, reference: ModelReference) -> tuple[AnyArray, IntArray]:
        """Bring counts and totals into the order of a reference; groups whose bins are others have no counts."""
        place = self.places.get_indexer(reference.places)
        usable = place >= 0
        usable[usable] = self.bins[place[usable]] == reference.digests[usable]
        order = [self.columns.index(name) if name in self.columns else -1 for name in reference.cells.columns]
        counts = np.zeros((len(reference), len(order), SLOTS), dtype=np.int64)
        for i, column in enumerate(order):
            if column >= 0:
                counts[usable, i] = self.counts[place[usable], column]
        totals = np.zeros((len(reference), len(_TOTALS)), dtype=np.int64)
        totals[usable] = self.totals[place[usable]]
        return counts, totals

    def to_arrow(self) -> pa.Table:
        """Make the table that a count file holds."""
        columns: dict[str, Any] = {"key": pa.array(self.keys, pa.string()), "bins": pa.array(self.bins, pa.uint64())}
        columns |= {name: pa.array(self.totals[:, i]) for i, name in enumerate(_TOTALS)}
        for i, name in enumerate(self.columns):
            values = pa.array(np.ascontiguousarray(self.counts[:, i]).reshape(-1), pa.int64())
            columns[f"counts:{name}"] = pa.FixedSizeListArray.from_arrays(values, SLOTS)
        meta: dict[str, Any] = {
            "of_time": sorted(self.of_time),
            "unreadable": self.unreadable,
            "absent": list(self.absent),
        }
        meta["window"] = self.window
        return pa.table(columns).replace_schema_metadata({WINDOW_META: json.dumps(meta).encode()})

    @classmethod
    def from_arrow(cls, table: pa.Table) -> "WindowCounts":
        """Inverse of `to_arrow`."""
        names = tuple(name.removeprefix("counts:") for name in table.column_names if name.startswith("counts:"))
        counts = np.zeros((table.num_rows, len(names), SLOTS), dtype=np.int64)
        for i, name in enumerate(names):
            flat = table[f"counts:{name}"].combine_chunks().flatten()
            counts[:, i] = flat.to_numpy(zero_copy_only=False).reshape(-1, SLOTS)
        totals = np.stack([table[name].to_numpy() for name in _TOTALS], axis=1).reshape(table.num_rows, len(_TOTALS))
        meta = json.loads((table.schema.metadata or {})[WINDOW_META])
        keys = tuple(table["key"].to_pylist())
        bins = table["bins"].to_numpy().astype(np.uint64)
        of_time, absent = frozenset(meta["of_time"]), tuple(meta["absent"])
        return cls(keys, bins, names, counts, totals, of_time, meta["unreadable"], absent, meta["window"])

    def write(self, path: Path) -> None:
        """Write a count file, complete or not at all."""
        with whole_file(path) as unfinished:
            pq.write_table(self.to_arrow(), unfinished, compression="zstd")

    @classmethod
    def read(cls, path: Path, only: Sequence[str] | None = None) -> "WindowCounts":
        """Inverse of `write`; with `only` the counts of some columns, as far as they are there.

        Raises
        ------
        InputError
            The file is no count file.
        """
        try:
            with pq.ParquetFile(path) as file:
                others = set() if only is None else {f"counts:{name}" for name in only}
                every = file.schema_arrow.names
                wanted = [name for name in every if only is None or name in others or not name.startswith("counts:")]
                return cls.from_arrow(file.read(wanted))
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(f"{path} holds no counts of a window ({error}). Count the rows again.") from error


def count_window(reference: ModelReference, rows: WindowRows) -> WindowCounts:
    """Count the rows of a window, or of a part of it."""
    n_groups = len(rows.texts)
    totals = np.zeros((n_groups, len(_TOTALS)), dtype=np.int64)
    marks = (
        np.ones(len(rows), dtype=bool),
        np.zeros(len(rows), dtype=bool) if rows.labelled is None else rows.labelled,
        rows.outside >= 0,
        rows.outside == 1,
    )
    for i, mark in enumerate(marks):
        totals[:, i] = np.bincount(rows.codes[mark], minlength=n_groups)
    place = reference.places.get_indexer(rows.texts)
    there = place >= 0
    counts = np.zeros((n_groups, len(reference.cells.columns), SLOTS), dtype=np.int64)
    counts[there] = counted(reference, rows)[place[there]]
    bins = np.zeros(n_groups, dtype=np.uint64)
    bins[there] = reference.digests[place[there]]
    of_time = frozenset() if rows.times is None else functions_of_time(rows.features, rows.times)
    named = rows.texts != ""
    return WindowCounts(
        tuple(rows.texts[named].tolist()),
        bins[named],
        reference.cells.columns,
        counts[named],
        totals[named],
        of_time,
        rows.unreadable,
        rows.absent,
    )
