"""The reference of a model's groups, and which group of it is which."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray, as_matrix
from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.tables.keys import decode_keys, encode_key

__all__ = ["ModelReference", "counted", "reference_of_rows"]


@dataclass(frozen=True)
class ModelReference:
    """What the rows of a model's groups are compared with.

    Attributes
    ----------
    keys
        Encoded keys of the groups, as many as `cells` has.
    cells
        Their references.
    """

    keys: tuple[str, ...]
    cells: DriftReference

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def place(self) -> dict[str, int]:
        """Place of each group."""
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def places(self) -> pd.Index:
        """The same, for many keys at once."""
        return pd.Index(np.array(self.keys, dtype=object))

    @cached_property
    def digests(self) -> HashArray:
        """Say which bins each group has, shape (n_groups,): counts add up where these are the same."""
        parts = [self.cells.edges.view(np.uint32), self.cells.commonest.view(np.uint32)]
        flat = np.concatenate([as_matrix(part) for part in parts], axis=1)
        weights = pd.util.hash_array(np.arange(flat.shape[1], dtype=np.uint64)) | np.uint64(1)
        digests = np.zeros(len(self), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for column, weight in zip(flat.T, weights, strict=True):
                digests += column.astype(np.uint64) * weight
        return digests

    @cached_property
    def parents(self) -> list[tuple[list[str], IntArray]]:
        """For each level above the groups, the world first: keys, and the number of each group's parent."""
        keys = decode_keys(list(self.keys))
        depth = max((len(key) for key in keys), default=0)
        levels = []
        for level in range(depth):
            codes, names = pd.factorize(np.array([_text(key[:level]) for key in keys], dtype=object))
            levels.append((names.tolist(), np.asarray(codes, dtype=np.int64)))
        return levels

    def with_counts(self, counts: AnyArray) -> "ModelReference":
        """Compare with other rows, in the same bins."""
        return replace(self, cells=replace(self.cells, counts=counts))


def _text(key: Sequence[Any]) -> str:
    return encode_key(tuple(key))


def reference_of_rows(rows: WindowRows) -> ModelReference:
    """Make the reference of rows at hand, where a model was trained without one, or other rows are to be the measure.

    Parameters
    ----------
    rows
        Rows of the groups; those with a label give the errors.
    """
    texts = rows.texts
    n_groups = len(texts)
    cells = build_reference(rows.features, rows.codes, n_groups, rows.times)
    labelled = rows.labelled
    if labelled is not None:
        columns = rows.judged.take(labelled)
        times = None if rows.times is None else rows.times[labelled]
        cells = cells.beside(build_reference(columns, rows.codes[labelled], n_groups, times))
    used = np.flatnonzero((np.bincount(rows.codes[rows.codes >= 0], minlength=n_groups) > 0) & (texts != ""))
    return ModelReference(tuple(texts[used].tolist()), cells.take(used))


def counted(reference: ModelReference, rows: WindowRows) -> AnyArray:
    """Count rows into the reference's bins, shape (groups of the rows, n_columns, 12); labels where they are known."""
    counts = np.zeros((len(rows.texts), len(reference.cells.columns), SLOTS), dtype=np.int64)
    place = reference.places.get_indexer(rows.texts) if len(reference) else np.full(len(rows.texts), -1)
    there = place >= 0
    if not there.any():
        return counts
    # Few rows of few groups must not cost what all groups do.
    cells = reference.cells if np.array_equal(place, np.arange(len(reference))) else reference.cells.take(place[there])
    codes = np.where(there, np.cumsum(there) - 1, -1)[rows.codes]
    of_groups = count_rows(cells, rows.features, codes)
    labelled = rows.labelled
    if labelled is not None:
        of_groups += count_rows(cells, rows.judged.take(labelled), codes[labelled])
    counts[there] = of_groups
    return counts
