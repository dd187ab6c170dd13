"""The rows of a training in the form that children take them, and which of them are one group's."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray
from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_features import drift_features
from metamodel.evaluation.drift.drift_reference import TARGET
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import TaskName
from metamodel.tables.features import FeatureSchema, FeatureTable
from metamodel.tables.keys import GroupKey
from metamodel.tables.row_hashes import drawn_hashes, value_hashes
from metamodel.tables.split_groups import SplitGroups

__all__ = ["GroupRows", "TrainingTable", "seen_hashes"]


@dataclass(frozen=True)
class TrainingTable:
    """Rows as children take them: features, target, and what the holdout needs; all of one length.

    `hashes` say which rows are the same row, and by which draw each is held back. `children` says which group of all
    columns each row is of (`holdout.child_ids`), `split_groups` which rows have to stay together, `contents` by which
    hash a later training will know the row, `digests` what a group's fingerprint is made of.
    """

    features: FeatureTable
    y: AnyArray
    hashes: HashArray
    times: AnyArray | None
    weights: AnyArray | None = None
    children: IntArray | None = None
    split_groups: SplitGroups | None = None
    contents: HashArray | None = None
    digests: HashArray | None = None

    @classmethod
    def of(
        cls,
        features: FeatureTable,
        y: AnyArray,
        times: AnyArray | None,
        weights: AnyArray | None,
        children: IntArray | None,
        split_groups: SplitGroups | None,
        *,
        random_state: int,
        hashes_seen: bool,
    ) -> Self:
        """Hash rows once for all that asks whether they are the same.

        Hashes are those of the form in which children take the rows, so that the types of the table in which they
        stood play no part: what is held back, and what is known again, is the same from every kind of file.

        Parameters
        ----------
        features, y, times, weights, children, split_groups
            As they are kept.
        random_state
            Seed of `hashes`.
        hashes_seen
            Whether to make `contents`.
        """
        content = value_hashes([*_columns(features), y])
        told_by = [values for values in (times, split_groups and split_groups.values) if values is not None]
        same = value_hashes(told_by, content)
        digests = same if weights is None else value_hashes([weights], same)
        contents = None
        if hashes_seen:  # in another group, or without one, an equal row is another row
            contents = content if children is None else value_hashes([children], content)
        hashes = drawn_hashes(same, random_state)
        return cls(features, y, hashes, times, weights, children, split_groups, contents, digests)

    def take(self, rows: IntArray) -> "TrainingTable":
        """Gather rows."""
        taken = TrainingTable(self.features.take(rows), self.y[rows], self.hashes[rows], *self._others(rows))
        return taken if self.digests is None else replace(taken, digests=self.digests[rows])

    def fingerprint(self, rows: IntArray | slice) -> str:
        """Digest of the content of some rows, in their order: in another one they are fitted to another child."""
        assert self.digests is not None
        return hashlib.blake2b(np.ascontiguousarray(self.digests[rows]).tobytes(), digest_size=16).hexdigest()

    def group(self, key: GroupKey, start: int, stop: int) -> GroupData:
        """Rows `start` to `stop` as one group's data, without a copy."""
        rows = slice(start, stop)
        return GroupData(key, self.features.slice(start, stop), self.y[rows], self.hashes[rows], *self._others(rows))

    def compared_columns(self, features: FeatureSchema, task: TaskName) -> DriftColumns:
        """Features and target as later rows are compared with them, shape (n_rows,) each."""
        values = self.features.values
        if isinstance(values, pd.DataFrame):
            columns, _ = drift_features(values, features.features)
        else:
            columns = DriftColumns({name: values[:, i] for i, name in enumerate(features.names)})
        if task == "regression":
            columns.values[TARGET] = self.y
        else:
            columns.values[TARGET], columns.texts[TARGET] = hash_categories(self.y)
        return columns

    def _others(self, rows: IntArray | slice) -> Iterator[Any]:
        """Of some rows, what not every table has, in the order of the fields here and of `GroupData`."""
        every = (self.times, self.weights, self.children, self.split_groups, self.contents)
        return (None if values is None else values[rows] for values in every)


@dataclass(frozen=True)
class GroupRows:
    """One group to fit: its key, the positions of its rows in the table, and the fingerprint of their content."""

    key: GroupKey
    rows: IntArray
    fingerprint: str


def _columns(features: FeatureTable) -> list[Any]:
    x = features.values
    return [x[name] for name in x.columns] if isinstance(x, pd.DataFrame) else list(x.T)


def seen_hashes(hashes: HashArray, y: AnyArray) -> HashArray:
    """Choose the hashes that say which rows a child of these has seen: those with a target, each once, in order."""
    return np.unique(hashes[~pd.isna(y)])
