"""The trees of one child behind one another, each in preorder: a node's left child stands right behind it.

All trees are brought to that order at once, level by level: an ensemble has a hundred trees of a few nodes each, and
one by one they would cost a dozen calls of NumPy a tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["FlatTrees", "flat_trees"]


@dataclass(frozen=True)
class FlatTrees:
    """All trees of one child.

    Attributes
    ----------
    threshold
        Of each node: a row goes left where its feature is at most this.
    feature
        Of each node: twice the feature it asks for, plus 1 where missing values go left; -1 in a leaf.
    right
        Of each node: the place of its right child; in a leaf its row of `values`.
    root
        Where the nodes of each tree begin.
    output
        Which score each tree adds to; -1 where it adds to all of them, a column of `values` each.
    values
        Shape (n_leaves, 1) or (n_leaves, n_classes).
    """

    threshold: AnyArray
    feature: AnyArray
    right: AnyArray
    root: AnyArray
    output: AnyArray
    values: AnyArray

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.threshold, self.feature, self.right, self.root, self.output, self.values)
        return sum(array.nbytes for array in arrays)


def flat_trees(
    sizes: Sequence[int],
    feature: AnyArray,
    children: tuple[AnyArray, AnyArray],
    threshold: AnyArray,
    values: AnyArray,
    output: Sequence[int],
) -> FlatTrees:
    """Reorder trees whose nodes stand in any order, the root first.

    Parameters
    ----------
    sizes
        Nodes of each tree; those that its root does not lead to are left out.
    feature
        As in `FlatTrees`.
    children
        Left and right child of each node, counted from its tree's root; in leaves anything.
    threshold
        Of each node; in leaves anything.
    values
        Of each node, shape (n_nodes, 1) or (n_nodes, n_classes); in inner nodes anything.
    output
        As in `FlatTrees`.

    Raises
    ------
    ValueError
        What is given are no trees.
    """
    of_trees = np.asarray(sizes, dtype=np.int64)
    starts = np.cumsum(of_trees) - of_trees
    first = np.repeat(starts, of_trees)
    left, right, leaf = children[0] + first, children[1] + first, np.asarray(feature) < 0
    levels = _inner_nodes(starts, left, right, leaf)
    below = np.ones(len(leaf), dtype=np.int64)
    for inner in reversed(levels):
        below[inner] += below[left[inner]] + below[right[inner]]
    place = np.full(len(leaf), -1, dtype=np.int64)
    root = np.cumsum(below[starts]) - below[starts]
    place[starts] = root
    for inner in levels:
        place[left[inner]] = place[inner] + 1
        place[right[inner]] = place[inner] + 1 + below[left[inner]]
    reached = np.flatnonzero(place >= 0)
    order = np.empty(len(reached), dtype=np.int64)
    order[place[reached]] = reached
    leaf = leaf[order]
    behind = np.where(leaf, 0, place[np.where(leaf, 0, right[order])])
    behind[leaf] = np.arange(leaf.sum())
    return FlatTrees(
        np.where(leaf, 0, threshold[order]).astype(threshold.dtype),
        feature[order].astype(np.int32),
        behind.astype(np.int32),
        root,
        np.asarray(output, dtype=np.int32),
        values[order[leaf]],
    )


def _inner_nodes(roots: IntArray, left: AnyArray, right: AnyArray, leaf: AnyArray) -> list[IntArray]:
    """Inner nodes of all trees, level by level."""
    levels, nodes, seen = [], roots, len(roots)
    while len(inner := nodes[~leaf[nodes]]):
        levels.append(inner)
        nodes = np.concatenate([left[inner], right[inner]])
        seen += len(nodes)
        if seen > len(leaf):
            raise ValueError("a node of a tree has two parents")
    return levels
