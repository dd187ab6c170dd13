"""Move the trees of some children from one program into another: where nodes and leaves begin changes, nothing else.

The arrays are those of `metamodel.prediction.stacks.trees.TreeProgram`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["join_trees", "starts_of", "take_trees"]

_OF_NODES = ("threshold", "feature")

_Arrays = Mapping[str, AnyArray]


def starts_of(sizes: Sequence[int] | IntArray) -> AnyArray:
    """Where parts of these sizes begin behind one another, and where the last one ends.

    Examples
    --------
    >>> starts_of([2, 3]).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def take_trees(arrays: _Arrays, positions: IntArray) -> dict[str, AnyArray]:
    """Keep the trees of some children, in this order."""
    trees, first_tree = _ranges(arrays["first_tree"], positions)
    leaves, first_leaf = _ranges(arrays["first_leaf"], positions)
    node_bounds = np.asarray(arrays["root"])[np.asarray(arrays["first_tree"])]
    nodes, first_node = _ranges(node_bounds, positions)
    root = np.asarray(arrays["root"])
    of_tree = np.repeat(np.arange(len(positions)), np.diff(first_tree))
    moved_root = root[trees] + (first_node[:-1] - node_bounds[positions])[of_tree]
    moves = first_node[:-1] - node_bounds[positions], first_leaf[:-1] - np.asarray(arrays["first_leaf"])[positions]
    feature = np.asarray(arrays["feature"])[nodes]
    kept: dict[str, AnyArray] = {
        "first_tree": first_tree,
        "first_leaf": first_leaf,
        "root": np.concatenate([moved_root, first_node[-1:]]).astype(root.dtype),
        "threshold": np.asarray(arrays["threshold"])[nodes],
        "feature": feature,
        "right": _moved(np.asarray(arrays["right"])[nodes], feature, moves, np.diff(first_node)),
        "output": np.asarray(arrays["output"])[trees],
        "values": np.asarray(arrays["values"])[leaves],
    }
    others = {name: np.ascontiguousarray(values[..., positions]) for name, values in arrays.items() if name not in kept}
    return kept | others


def join_trees(programs: Sequence[_Arrays]) -> dict[str, AnyArray]:
    """Put the trees of several programs behind one another."""
    sizes = [(len(arrays["feature"]), len(arrays["values"]), len(arrays["output"])) for arrays in programs]
    first_nodes, first_leaves, first_trees = (starts_of([size[i] for size in sizes]) for i in range(3))
    right = [
        _moved(arrays["right"], arrays["feature"], (np.array([node]), np.array([leaf])), np.array([size[0]]))
        for arrays, node, leaf, size in zip(programs, first_nodes, first_leaves, sizes, strict=False)
    ]
    together = {
        "right": np.concatenate(right),
        "root": _bounds([arrays["root"] for arrays in programs], first_nodes),
        "first_tree": _bounds([arrays["first_tree"] for arrays in programs], first_trees),
        "first_leaf": _bounds([arrays["first_leaf"] for arrays in programs], first_leaves),
    }
    behind = {name: np.concatenate([arrays[name] for arrays in programs]) for name in (*_OF_NODES, "output", "values")}
    names = programs[0].keys() - together.keys() - behind.keys()
    beside = {name: np.concatenate([arrays[name] for arrays in programs], axis=-1) for name in names}
    return together | behind | beside


def _ranges(bounds: AnyArray, positions: IntArray) -> tuple[IntArray, AnyArray]:
    """List all places between the bounds of some parts, part after part; and the bounds that these have then."""
    bounds = np.asarray(bounds)
    sizes = bounds[positions + 1] - bounds[positions]
    starts = starts_of(sizes)
    places: IntArray = np.arange(starts[-1]) + np.repeat(bounds[positions] - starts[:-1], sizes)
    return places, starts


def _moved(right: AnyArray, feature: AnyArray, moves: tuple[AnyArray, AnyArray], sizes: AnyArray) -> AnyArray:
    """Let nodes name the new places: of their right child, or of a leaf its row of values."""
    node, leaf = (np.repeat(move, sizes) for move in moves)
    moved: AnyArray = (right + np.where(feature >= 0, node, leaf)).astype(np.int32)
    return moved


def _bounds(parts: Sequence[AnyArray], starts: AnyArray) -> AnyArray:
    moved = [part[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    return np.concatenate([*moved, starts[-1:]]).astype(parts[0].dtype)
