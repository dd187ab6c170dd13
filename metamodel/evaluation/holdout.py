"""Out-of-sample predictions: what a child said of the rows that were kept back, by a model that had not seen them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.tables.keys import GroupKey, encode_keys

__all__ = ["HELD_ROWS", "POOLED_COLUMN", "HeldOut", "child_ids", "kept_share", "level_column"]

# Held-out rows of one level that a training keeps; of a larger table it keeps an even sample.
HELD_ROWS = 1_000_000

# Column with the predictions of the pooled model.
POOLED_COLUMN = "predicted_by_pooled"

# Any constant: a row's place in the sample must not depend on its place in the holdout.
_SALT = np.uint64(0xD1B54A32D192ED03)


def kept_share(rows: int, holdout: float, limit: int = HELD_ROWS) -> float:
    """Share of the held-out rows to keep, so that about `limit` rows of each level are kept.

    Examples
    --------
    >>> kept_share(300_000, 0.2), kept_share(100_000_000, 0.2)
    (1.0, 0.05)
    """
    return min(1.0, limit / max(1.0, rows * holdout))


def level_column(level: int) -> str:
    """Name of the column with the predictions of the parents of one level.

    Examples
    --------
    >>> level_column(1), level_column(0)
    ('predicted_by_level_1', 'predicted_by_global')
    """
    return f"predicted_by_level_{level}" if level else "predicted_by_global"


def child_ids(keys: Iterable[GroupKey]) -> IntArray:
    """Give groups numbers, by which a parent's row says of which group it is; a key has the same one in every table."""
    return child_ids_of_encoded(np.array(encode_keys(keys), dtype=object))


def child_ids_of_encoded(texts: AnyArray) -> IntArray:
    """Give groups the same numbers, by their encoded keys."""
    ids: IntArray = pd.util.hash_array(texts).view(np.int64)
    return ids


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows of one group and what was predicted for them; all arrays have one length.

    Parameters
    ----------
    rows
        From `split_hashes`: the same row has the same hash in its group, in every parent and in the global model.
    actual, predicted
        Target and prediction; floats, or class labels.
    times
        From `splits.time_order`, or None.
    weights
        From `weights.row_weights`, or None for equal ones.
    children
        From `child_ids`, or None where there are no parents.
    """

    rows: HashArray
    actual: AnyArray
    predicted: AnyArray
    times: AnyArray | None = None
    weights: AnyArray | None = None
    children: IntArray | None = None

    @classmethod
    def of(
        cls,
        rows: HashArray,
        actual: AnyArray,
        predicted: AnyArray,
        times: AnyArray | None,
        weights: AnyArray | None = None,
        children: IntArray | None = None,
    ) -> Self:
        """Bring the predictions to the type of the target, whatever the child answered with."""
        return cls(rows, actual, np.asarray(predicted).astype(actual.dtype), times, weights, children)

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, share: float) -> "HeldOut":
        """Keep an even sample that depends on the rows alone, so that every level keeps the same ones."""
        if share >= 1:
            return self
        kept = self.drawn(share)
        others = (None if values is None else values[kept] for values in (self.times, self.weights, self.children))
        return HeldOut(self.rows[kept], self.actual[kept], self.predicted[kept], *others)

    def drawn(self, share: float) -> BoolArray:
        """Say which rows `sample` keeps."""
        if share >= 1:
            return np.ones(len(self), dtype=bool)
        kept: BoolArray = pd.util.hash_array(self.rows ^ _SALT) < np.uint64(int(share * 2**64))
        return kept
