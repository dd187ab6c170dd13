"""Groups of equally many rows, a stack at a time: what is computed of a stack is computed of each group alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["GroupSpans", "RowStack", "row_stacks"]

# Numbers in one stack: what is computed from them stays in the processor's cache.
_NUMBERS = 2**18


@dataclass(frozen=True)
class GroupSpans:
    """Rows of many groups, group by group.

    Parameters
    ----------
    positions
        Where the rows lie in the table, shape (n_rows,).
    starts
        Where each group begins in `positions`, shape (n_groups,).
    """

    positions: IntArray
    starts: IntArray

    @property
    def sizes(self) -> IntArray:
        """Rows of each group, shape (n_groups,)."""
        return np.diff(self.starts, append=len(self.positions))

    @property
    def codes(self) -> IntArray:
        """Which group each row is of, shape (n_rows,)."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    def where(self, kept: AnyArray) -> "GroupSpans":
        """Keep rows by a mask of shape (n_rows,); a group may be left without any."""
        before = np.append(0, np.cumsum(kept))
        return GroupSpans(self.positions[kept], before[self.starts])

    def of(self, groups: IntArray) -> "GroupSpans":
        """Keep some groups, in the order given."""
        sizes = self.sizes[groups]
        starts = np.cumsum(sizes) - sizes
        rows = np.arange(sizes.sum()) + np.repeat(self.starts[groups] - starts, sizes)
        return GroupSpans(self.positions[rows], starts)


@dataclass(frozen=True)
class RowStack:
    """Some groups of equally many rows.

    Attributes
    ----------
    groups
        Their numbers, shape (n_stacked,).
    places
        Their rows by the place among those of all groups, shape (n_stacked, n_rows).
    positions
        The same rows by their position in the table.
    """

    groups: IntArray
    places: IntArray
    positions: IntArray


def row_stacks(spans: GroupSpans, width: int) -> Iterator[RowStack]:
    """Cut groups into stacks.

    Parameters
    ----------
    spans
        The groups; those without rows are left out.
    width
        Numbers in a row.

    Examples
    --------
    >>> spans = GroupSpans(np.array([4, 5, 6, 7, 8]), np.array([0, 2, 3]))
    >>> [(stack.groups.tolist(), stack.positions.tolist()) for stack in row_stacks(spans, 1)]
    [([1], [[6]]), ([0, 2], [[4, 5], [7, 8]])]
    """
    sizes = spans.sizes
    order = np.argsort(sizes, kind="stable")
    for alike in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        rows = int(sizes[alike[0]]) if len(alike) else 0
        step = max(1, _NUMBERS // max(1, rows * width))
        for first in range(0, len(alike) if rows else 0, step):
            groups = alike[first : first + step]
            places = spans.starts[groups][:, None] + np.arange(rows)
            yield RowStack(groups, places, spans.positions[places])
