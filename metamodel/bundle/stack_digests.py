"""What of a stack is proven, and what is not: digests of blocks of children, checked when a child is first wanted.

A block is some children that follow one another, and all that their answers are computed from. Each has the sha256 of
its bytes, as every child in a shard has, so that a stack answers only with numbers that are what was written. Opening
a stack reads nothing of it: a block is read, once, when the first of its children is asked for.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["Blocks", "block_digests", "block_size"]

# A block costs its first reader this many bytes, or one child if that is more.
_BLOCK_BYTES = 2**16

_MOST_CHILDREN = 512

_UNKNOWN, _INTACT, _DAMAGED = 0, 1, 2

# First and last child (exclusive) → the arrays that hold all that belongs to them.
Parts = Callable[[int, int], Iterator[AnyArray]]


def block_size(n_bytes: int, n_children: int) -> int:
    """How many children make a block."""
    return max(1, min(_MOST_CHILDREN, _BLOCK_BYTES * n_children // max(1, n_bytes)))


def block_digests(parts: Parts, n_children: int, size: int) -> AnyArray:
    """Digests of all blocks, shape (n_blocks, 32)."""
    digests = [_digest(parts(start, min(start + size, n_children))) for start in range(0, n_children, size)]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)


def _digest(parts: Iterator[AnyArray]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.dtype.str}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).data)
    return digest.digest()


class Blocks:
    """The blocks of an opened stack; safe to share between threads.

    Parameters
    ----------
    parts
        What belongs to a range of children.
    n_children, size
        Of the whole stack, and of a block.
    digests
        As `block_digests` gave them.

    Attributes
    ----------
    damaged
        Children whose block is damaged, as far as it was read.
    """

    def __init__(self, parts: Parts, n_children: int, size: int, digests: AnyArray) -> None:
        self.damaged = 0
        self._parts = parts
        self._n_children = n_children
        self._size = size
        self._digests = digests
        self._states = np.zeros(len(digests), dtype=np.uint8)

    def intact(self, positions: IntArray) -> AnyArray:
        """Which of these children are what was written; reads the blocks that were not read yet."""
        blocks = positions // self._size
        states = self._states[blocks]
        if (unknown := states == _UNKNOWN).any():
            for block in np.unique(blocks[unknown]).tolist():
                self._read(block)
            states = self._states[blocks]
        return states == _INTACT

    def damaged_positions(self) -> IntArray:
        """Read everything; positions of the children whose block is damaged."""
        return np.flatnonzero(~self.intact(np.arange(self._n_children)))

    def _read(self, block: int) -> None:
        # Without a lock, which a fork could leave locked: two threads at once read the same twice.
        start = block * self._size
        stop = min(start + self._size, self._n_children)
        try:
            intact = _digest(self._parts(start, stop)) == self._digests[block].tobytes()
        except (IndexError, ValueError):  # a damaged number that says where others stand
            intact = False
        if not intact and self._states[block] == _UNKNOWN:
            self.damaged += stop - start
        self._states[block] = _INTACT if intact else _DAMAGED
