"""Bring a tree to preorder: a node's left child stands right behind it."""

import numpy as np

from metamodel.frames import AnyArray
from metamodel.stacking.trees import FlatTree

__all__ = ["flat_tree"]


def flat_tree(
    feature: AnyArray, left: AnyArray, right: AnyArray, threshold: AnyArray, values: AnyArray, output: int
) -> FlatTree:
    """Reorder a tree whose nodes stand in any order.

    Parameters
    ----------
    feature
        As in `FlatTree`: -1 in a leaf.
    left, right, threshold
        Of each node; in leaves anything.
    values
        Of each node, shape (n_nodes, 1) or (n_nodes, n_classes); in inner nodes anything.
    output
        As in `FlatTree`.
    """
    leaf = feature < 0
    order = _visit(leaf.tolist(), left.tolist(), right.tolist())
    place = np.empty(len(feature), dtype=np.int64)
    place[order] = np.arange(len(order))
    leaf = leaf[order]
    behind = np.where(leaf, 0, place[np.where(leaf, 0, right[order])])
    behind[leaf] = np.arange(leaf.sum())
    return FlatTree(np.where(leaf, 0, threshold[order]), feature[order], behind, output, values[order][leaf])


def _visit(leaf: list[bool], left: list[int], right: list[int]) -> list[int]:
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if not leaf[node]:
            waiting += (right[node], left[node])
    return order
