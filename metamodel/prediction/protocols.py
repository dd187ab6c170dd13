"""What predicting asks of those who hand it children: objects that a package on a higher floor implements."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import GroupKey

__all__ = ["ChildStore", "Load", "Stack"]

Load = Callable[[GroupKey], tuple[Any, str]]


class ChildStore(Protocol):
    """Where children come from: key → (child, version), raising `UnknownGroup` or `CorruptBundle`."""

    def load(self, key: GroupKey, *, keep: bool = True) -> tuple[Any, str]:
        """Load one child."""
        ...

    def pooled(self, *, keep: bool = True) -> tuple[Any, str]:
        """Load the pooled model, a `PooledModel`; asked only where `load` or the levels speak of it."""
        ...

    def should_keep(self, n_groups: int) -> bool:
        """Whether a batch over this many groups should leave its children in the cache."""
        ...

    def ahead(self, keys: Sequence[GroupKey], *, keep: bool) -> AbstractContextManager[Load]:
        """Return `load` for children that will be asked for in this order; those that are far away come early."""
        ...


class Stack(Protocol):
    """Many children evaluated as one array program; what it cannot answer as they would, it leaves to them."""

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer calls with, or without, probabilities."""
        ...

    def positions(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key's child is in the stack; -1 where it is not."""
        ...

    def versions(self, positions: IntArray) -> AnyArray:
        """Versions of children."""
        ...

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Predictions, probabilities, and a mask of the rows it can answer (None for all)."""
        ...
