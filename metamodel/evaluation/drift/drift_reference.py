"""What is kept of the training rows of many groups, so that later rows can be compared with them: no raw row.

Everything that differs by group is an array whose first axis is the group (`to_arrays`): to store it, to carry some
groups (gather rows) and to put groups of several tasks behind one another needs no knowledge of what is inside. What
all groups share (`to_meta`) is a few names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, Self

import numpy as np

from metamodel.common.arrays import AnyArray, HashArray, IntArray

__all__ = [
    "ABSOLUTE_ERROR",
    "ERROR",
    "PREDICTION",
    "REPLAYED_BLOCKS",
    "REPLAYED_SCORES",
    "TARGET",
    "VOCABULARY",
    "ColumnKind",
    "DriftReference",
]

ColumnKind = Literal["number", "category"]

# Columns beside the features. The role stands before the name, so that no feature can be taken for one.
TARGET: Final = "(target)"

PREDICTION: Final = "(prediction)"

# Target less prediction of held-out rows; classifiers have the absolute one alone: 1 for a wrong label, else 0.
ERROR: Final = "(error)"

ABSOLUTE_ERROR: Final = "(absolute error)"

# A column with more categories, over all groups, has no vocabulary: unseen ones cannot be told from rare ones.
VOCABULARY: Final = 10_000

# Into how many blocks a group's rows are cut for replays, from the shortest blocks to the longest.
REPLAYED_BLOCKS: Final = (16, 8, 4)

# What is replayed: the middle rank of the slot, being in the first or in the last bin, in either, being missing.
REPLAYED_SCORES: Final = ("rank", "tail", "tails", "missing")

_ARRAYS = ("edges", "commonest", "counts", "tails", "moments", "replays")


@dataclass(frozen=True)
class DriftReference:
    """The reference of many groups, cell by cell (a group and a column).

    Attributes
    ----------
    columns
        Names of the columns, features and `TARGET`, `PREDICTION`, `ERROR`, `ABSOLUTE_ERROR`.
    kinds
        Kind of each.
    edges
        float32, shape (n_groups, n_numbers, 9), from `bins.decile_edges`; one for each column that is a number, in
        their order.
    commonest
        uint64, shape (n_groups, n_categories, 9), from `bins.commonest_categories`.
    counts
        uint32, shape (n_groups, n_columns, 12): training rows in each slot (`bins`); they sum up to the group's rows.
    tails
        float32, shape (n_groups, n_numbers, 2): mean of the rows in the first and in the last bin; NaN without any.
    moments
        float32, shape (n_groups, n_numbers, 2): mean and standard deviation.
    replays
        float16, shape (n_groups, n_columns, 3, 4), from `replay`: by how much windows of the training rows
        vary more than rows drawn at random do; NaN where the rows have no order in time, or are too few.
    vocabulary
        Of each column of categories: hash → text of those of all groups; None instead of the texts of more than
        `VOCABULARY`.
    of_time
        Columns that are functions of time alone: they always change, and say nothing.
    """

    columns: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    edges: AnyArray
    commonest: HashArray
    counts: AnyArray
    tails: AnyArray
    moments: AnyArray
    replays: AnyArray
    vocabulary: Mapping[str, Mapping[int, str] | None] = field(default_factory=dict)
    of_time: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def nbytes(self) -> int:
        """Bytes in memory of the arrays."""
        return sum(array.nbytes for array in self.to_arrays().values())

    @cached_property
    def place(self) -> IntArray:
        """Place of each column among those of its kind, shape (n_columns,)."""
        seen = {"number": 0, "category": 0}
        places = []
        for kind in self.kinds:
            places.append(seen[kind])
            seen[kind] += 1
        return np.array(places, dtype=np.int64)

    @cached_property
    def known(self) -> dict[str, HashArray | None]:
        """Of each column of categories the sorted hashes of its vocabulary; None where that is not known."""
        return {
            name: None if texts is None else np.array(sorted(texts), dtype=np.uint64)
            for name, texts in self.vocabulary.items()
        }

    def to_arrays(self) -> dict[str, Any]:
        """Return what differs by group: arrays whose first axis is the group."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def to_meta(self) -> dict[str, Any]:
        """Return what all groups share, in plain JSON form; hashes are texts there."""
        texts = {
            name: None if one is None else {str(code): text for code, text in sorted(one.items())}
            for name, one in self.vocabulary.items()
        }
        return {
            "columns": list(self.columns),
            "kinds": list(self.kinds),
            "vocabulary": texts,
            "of_time": sorted(self.of_time),
        }

    @classmethod
    def from_arrays(cls, meta: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> Self:
        """Inverse of `to_meta` and `to_arrays`."""
        vocabulary = {
            name: None if texts is None else {int(code): text for code, text in texts.items()}
            for name, texts in meta["vocabulary"].items()
        }
        columns, kinds = tuple(meta["columns"]), tuple(meta["kinds"])
        parts = {name: arrays[name] for name in _ARRAYS}
        return cls(columns, kinds, **parts, vocabulary=vocabulary, of_time=frozenset(meta["of_time"]))

    def take(self, groups: IntArray | slice) -> "DriftReference":
        """Keep some groups, in the given order; those of a slice are not copied."""
        return replace(self, **{name: array[groups] for name, array in self.to_arrays().items()})

    @classmethod
    def concat(
        cls, parts: "Sequence[DriftReference]", groups: "Sequence[IntArray | slice] | None" = None
    ) -> "DriftReference":
        """Put the groups of several tasks, or of several models, behind one another; they have the same columns.

        A column is a function of time alone where it is one in every part that has a group. `groups` says which groups
        of each part, in which order: as `take` before would, with one copy less.
        """
        first = parts[0]
        assert all((part.columns, part.kinds) == (first.columns, first.kinds) for part in parts)
        groups = [slice(None)] * len(parts) if groups is None else groups
        arrays: dict[str, Any] = {name: _stacked([getattr(part, name) for part in parts], groups) for name in _ARRAYS}
        vocabulary = {name: _united([part.vocabulary.get(name, {}) for part in parts]) for name in first.vocabulary}
        told = [part.of_time for part in parts if len(part)]
        of_time = frozenset.intersection(*told) if told else frozenset()
        return replace(first, **arrays, vocabulary=vocabulary, of_time=of_time)

    def beside(self, other: "DriftReference") -> "DriftReference":
        """Add the columns of a reference of the same groups: those of held-out rows beside those of all rows."""
        assert len(self) == len(other)
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)], axis=1) for name in _ARRAYS
        }
        return DriftReference(
            self.columns + other.columns,
            self.kinds + other.kinds,
            **arrays,
            vocabulary={**self.vocabulary, **other.vocabulary},
            of_time=self.of_time | other.of_time,
        )


def _stacked(arrays: Sequence[AnyArray], groups: "Sequence[IntArray | slice]") -> AnyArray:
    """Put some rows of each array behind one another, in one copy."""
    lengths = [
        len(range(*of.indices(len(array)))) if isinstance(of, slice) else len(of)
        for array, of in zip(arrays, groups, strict=True)
    ]
    stacked = np.empty((sum(lengths), *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    ends = np.cumsum(lengths)
    for array, of, start, end in zip(arrays, groups, ends - lengths, ends, strict=True):
        if isinstance(of, slice):
            stacked[start:end] = array[of]
        else:
            np.take(array, of, axis=0, out=stacked[start:end], mode="clip")  # others make a copy of what they return
    return stacked


def _united(vocabularies: Sequence[Mapping[int, str] | None]) -> Mapping[int, str] | None:
    texts: dict[int, str] = {}
    for vocabulary in vocabularies:
        if vocabulary is None:
            return None
        texts.update(vocabulary)
    return texts if len(texts) <= VOCABULARY else None
