"""Read a challenger: what its overlay holds from there, and all else from the champion's bundle."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from metamodel.bundle.array_files import proven_table
from metamodel.bundle.group_values import GroupValues
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import POOLED_DIR, Bundle
from metamodel.bundle.rollout.overlay import OVERLAY_KEYS_NAME
from metamodel.bundle.shards import ShardRow
from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.common.byte_cache import ByteCache, Keep
from metamodel.exceptions import InvalidKey
from metamodel.prediction.pooled_model import PooledModel
from metamodel.tables.keys import GroupKey, decode_keys

__all__ = ["OverlaidBundle", "OverlaidModel"]

# From here on it is faster to read all keys once than to look these up one by one.
_MANY_KEYS = 256


class OverlaidBundle(Bundle):
    """An overlay over a champion's bundle, opened for reading; children that both have are in the cache once.

    Parameters
    ----------
    path
        The overlay.
    base
        The champion.
    cache
        As for `Bundle`.
    """

    def __init__(self, path: Path, base: Bundle, cache: ByteCache | None = None) -> None:
        super().__init__(path, cache)
        self._base = base

    def holds(self, keys: Sequence[GroupKey | InvalidKey]) -> BoolArray:
        """Whether each group is the overlay's, shape (n_keys,)."""
        if len(keys) > _MANY_KEYS:
            every = self._every_key
            return np.array([key in every for key in keys], dtype=bool)
        return self._written.of(keys) >= 0

    @cached_property
    def _every_key(self) -> frozenset[Any]:
        with proven_table(self.path, OVERLAY_KEYS_NAME, self.manifest.files, ["key"]) as content:
            return frozenset(decode_keys(pq.read_table(content, columns=["key"])["key"].to_pylist()))

    @cached_property
    def stacks(self) -> list[Any]:
        """The overlay's stacks, and the champion's without the groups that the overlay has."""
        return [*super().stacks, *(_StackBelow(stack, self) for stack in self._base.stacks)]

    @cached_property
    def group_values(self) -> GroupValues | None:
        """The numbers of groups: the overlay's where it has them, else the champion's."""
        own, below = super().group_values, self._base.group_values
        return own if own is None or below is None or own.columns != below.columns else _ValuesAbove(own, below)

    def load(self, key: GroupKey, *, keep: Keep = True) -> Any:
        """Load the child of a group; see `Bundle.load`."""
        return super().load(key, keep=keep) if self._has(key) else self._base.load(key, keep=keep)

    def pooled(self, *, keep: Keep = True) -> tuple[PooledModel, str]:
        """Load the pooled model; see `Bundle.pooled`."""
        return super().pooled(keep=keep) if self._has_pooled else self._base.pooled(keep=keep)

    def is_cached(self, key: GroupKey) -> bool:
        """Whether who answers a group is in memory."""
        return super().is_cached(key) if self._has(key) else self._base.is_cached(key)

    def read(self, key: GroupKey) -> tuple[tuple[Any, str], int]:
        """Read a child past every cache; see `Bundle.read`."""
        return super().read(key) if self._has(key) else self._base.read(key)

    def find(self, key: GroupKey) -> ShardRow | None:
        """Read a group's row; see `Bundle.find`."""
        return super().find(key) if self._has(key) else self._base.find(key)

    def _has(self, key: GroupKey) -> bool:
        return bool(self._written.of([key])[0] >= 0)

    @property
    def _has_pooled(self) -> bool:
        return any(name.startswith(f"{POOLED_DIR}/") for name in self.manifest.files)


class OverlaidModel(MetaModel):
    """A challenger that answers from an overlay and its champion's bundle.

    Parameters
    ----------
    path
        The overlay.
    champion
        The champion.
    """

    def __init__(self, path: Path, champion: MetaModel) -> None:
        base = champion.bundle
        super().__init__(OverlaidBundle(path, base, base._own_cache), defaults=champion._defaults)
        self._champion = champion

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as the overlay's path, with the champion."""
        return OverlaidModel, (self.path.absolute(), self._champion)


class _StackBelow:
    """A champion's stack as the challenger has it: the groups of the overlay are not in it."""

    def __init__(self, stack: Any, above: OverlaidBundle) -> None:
        self._stack = stack
        self._above = above

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)

    def positions(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key's child is in the stack; -1 where it is not, or the overlay has another."""
        positions: IntArray = self._stack.positions(keys)
        here = np.flatnonzero(positions >= 0)
        if not len(here):
            return positions
        hidden = self._above.holds([keys[i] for i in here.tolist()])
        if not hidden.any():
            return positions
        positions = positions.copy()
        positions[here[hidden]] = -1
        return positions


class _ValuesAbove(GroupValues):
    """The numbers of groups in an overlay, and below it the champion's."""

    def __init__(self, own: GroupValues, below: GroupValues) -> None:
        self.columns = own.columns
        self._own = own
        self._below = below

    def of(self, keys: Sequence[GroupKey | InvalidKey], columns: Sequence[str]) -> AnyArray:
        """Look groups up; see `GroupValues.of`."""
        numbers = self._own.of(keys, columns)
        elsewhere = np.flatnonzero(~self._own.has(keys))
        if len(elsewhere):
            numbers[elsewhere] = self._below.of([keys[i] for i in elsewhere.tolist()], columns)
        return numbers

    def has(self, keys: Sequence[GroupKey | InvalidKey]) -> BoolArray:
        """Whether each group has a row in one of both."""
        return self._own.has(keys) | self._below.has(keys)
