"""The compiled walk through flattened trees; importing this needs numba (the extra `fast`).

Compiled when it is imported, with its machine code cached on disk: whoever opens a bundle with stacked trees pays for
the compilation once a machine, and no request does. Where no folder for the cache can be written, once a process.

Few rows of a child walk from node to node. Many rows go through a small tree together, node by node instead of row by
row: each node takes the leaves that are out of reach from the rows that it sends the other way, in a loop without
branches that the processor runs for many rows at once; the first leaf that is left is the row's. (The idea is that of
QuickScorer: Lucchese et al., SIGIR 2015.)
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numba
import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.common.user_cache import check_private, private_directory, user_cache

__all__ = ["walk"]

# Rows of one child from which on they go through a tree together, and leaves that such a tree may have.
_MANY_ROWS = 24

_LEAVES = 64

_BLOCK_ROWS = 512

_NODES = 2 * _LEAVES

_EVERY_LEAF = np.uint64(0xFFFFFFFFFFFFFFFF)

# Multiplied by this, each of the 64 powers of two has other highest six bits (a de Bruijn sequence).
_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)

_LOWEST_BIT = np.zeros(64, dtype=np.int64)

for _bit in range(64):
    _LOWEST_BIT[(int(_SEQUENCE) << _bit) % 2**64 >> 58] = _bit


def _array(kind: Any, dimensions: int = 1, readonly: bool = True) -> Any:
    return numba.types.Array(kind, dimensions, "C", readonly=readonly)  # a memory map is read-only


def _signature(feature_kind: Any, score_kind: Any) -> Any:
    long, integer = numba.int64, numba.int32
    nodes = (_array(feature_kind), _array(integer), _array(integer), _array(long), _array(long), _array(integer))
    scores = (_array(score_kind, 2), _array(score_kind, 2, readonly=False))
    return numba.void(_array(feature_kind, 2), _array(long), *nodes, *scores)


_SIGNATURES = [
    _signature(numba.float32, numba.float64),  # scikit-learn's trees
    _signature(numba.float64, numba.float64),  # histogram boosting
    _signature(numba.float32, numba.float32),  # XGBoost
]

# Written out wherever it is called: the compiled walk calls nothing.
_inlined = numba.njit(inline="always")


@_inlined  # type: ignore[untyped-decorator]
def _leaf(
    x: AnyArray, row: int, node: Any, threshold: AnyArray, feature: AnyArray, right: AnyArray
) -> Any:  # pragma: no cover - compiled
    """Walk down one tree; returns the leaf's row of values."""
    code = feature[node]
    while code >= 0:
        value = x[code >> 1, row]
        # NaN is not equal to itself; the lowest bit says where a missing value goes.
        if value != value:  # noqa: PLR0124
            node = node + 1 if code & 1 else np.int64(right[node])
        else:
            node = node + 1 if value <= threshold[node] else np.int64(right[node])
        code = feature[node]
    return right[node]


@_inlined  # type: ignore[untyped-decorator]
def _number_leaves(
    first: int, n_nodes: int, feature: AnyArray, leaves: AnyArray
) -> None:  # pragma: no cover - compiled
    """Count the leaves before each node."""
    number = 0
    for i in range(n_nodes):
        leaves[i] = number
        if feature[first + i] < 0:
            number += 1


@_inlined  # type: ignore[untyped-decorator]
def _keep_reachable(
    reach: AnyArray, column: AnyArray, limit: Any, missing_left: Any, keep: Any
) -> None:  # pragma: no cover - compiled
    """Take the leaves on the left of a node, all but those in `keep`, from the rows that it sends to the right."""
    if missing_left:
        for r in range(len(column)):
            reach[r] &= keep if column[r] > limit else _EVERY_LEAF
    else:
        for r in range(len(column)):
            reach[r] &= _EVERY_LEAF if column[r] <= limit else keep


@_inlined  # type: ignore[untyped-decorator]
def _first_leaf(reach: Any) -> Any:  # pragma: no cover - compiled
    """Find the lowest leaf that is left, from the left of the tree."""
    lowest = reach & (~reach + np.uint64(1))
    return _LOWEST_BIT[(lowest * _SEQUENCE) >> np.uint64(58)]


@_inlined  # type: ignore[untyped-decorator]
def _add(
    scores: AnyArray, start: int, found: AnyArray, n_rows: int, values: AnyArray, output: Any
) -> None:  # pragma: no cover - compiled
    """Add each row's leaf to one of its scores, or, where `output` is negative, to all of them."""
    if output >= 0:
        for r in range(n_rows):
            scores[start + r, output] += values[found[r], 0]
    else:
        for r in range(n_rows):
            for k in range(scores.shape[1]):
                scores[start + r, k] += values[found[r], k]


def _source_on_disk() -> Path:
    """Write this file where its machine code can lie beside it: the package is an archive, and another one each time.

    A logged model is downloaded to a new place by every process. What is compiled for one is good for all that have the
    same code.
    """
    source = files(__package__).joinpath("tree_kernel.py").read_bytes()
    directory = private_directory(user_cache() / "kernels" / hashlib.sha256(source).hexdigest()[:32])
    path = check_private(directory / "tree_kernel.py")
    private_directory(directory / "__pycache__")  # numba loads and runs what lies there
    if not path.is_file() or path.read_bytes() != source:
        with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
            file.write(source)
        Path(file.name).replace(path)
    return path


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile for all signatures now."""
    with contextlib.suppress(OSError, RuntimeError):  # no place to write, no home: compiled by every process, then
        if not Path(__file__).is_file():
            function.__code__ = function.__code__.replace(co_filename=str(_source_on_disk()))
    kernel: Callable[..., None]
    try:
        kernel = numba.njit(_SIGNATURES, cache=True, nogil=True)(function)
    except Exception:  # noqa: BLE001 - no folder for the machine code (RuntimeError), a full disk, ...: not kept, then
        kernel = numba.njit(_SIGNATURES, nogil=True)(function)
    return kernel


@_compiled
def walk(  # noqa: PLR0913, PLR0917 - compiled code takes arrays, no objects
    x: AnyArray,
    positions: AnyArray,
    threshold: AnyArray,
    feature: AnyArray,
    right: AnyArray,
    root: AnyArray,
    first_tree: AnyArray,
    output: AnyArray,
    values: AnyArray,
    scores: AnyArray,
) -> None:  # pragma: no cover - compiled
    """Add the leaf of every tree of each row's child to the row's scores, in the order of the trees.

    The arrays are those of `metamodel.prediction.stacks.trees.TreeProgram`; `x` has shape (n_features, n_rows),
    `scores` has shape (n_rows, n_scores). Rows of one child should follow one another.
    """
    leaves_before = np.empty(_NODES, dtype=np.int64)
    rows_of_leaves = np.empty(_LEAVES, dtype=np.int64)
    reach = np.empty(_BLOCK_ROWS, dtype=np.uint64)
    leaf_of_row = np.empty(_BLOCK_ROWS, dtype=np.int64)
    start = 0
    while start < len(positions):
        child = positions[start]
        stop = start + 1
        while stop < len(positions) and positions[stop] == child and stop - start < _BLOCK_ROWS:
            stop += 1
        n_rows = stop - start
        # One tree after the other over many rows of a child: its nodes stay in the fastest cache.
        for tree in range(first_tree[child], first_tree[child + 1]):
            first, n_nodes = root[tree], root[tree + 1] - root[tree]
            if n_rows >= _MANY_ROWS and n_nodes < _NODES:
                _number_leaves(first, n_nodes, feature, leaves_before)
                reach[:n_rows] = _EVERY_LEAF
                for i in range(n_nodes):
                    code = feature[first + i]
                    if code < 0:
                        rows_of_leaves[leaves_before[i]] = right[first + i]
                        continue
                    on_the_left = np.uint64(leaves_before[right[first + i] - first] - leaves_before[i])
                    keep = ~(((np.uint64(1) << on_the_left) - np.uint64(1)) << np.uint64(leaves_before[i]))
                    _keep_reachable(reach, x[code >> 1, start:stop], threshold[first + i], code & 1, keep)
                for r in range(n_rows):
                    leaf_of_row[r] = rows_of_leaves[_first_leaf(reach[r])]
            else:
                for r in range(n_rows):
                    leaf_of_row[r] = _leaf(x, start + r, first, threshold, feature, right)
            _add(scores, start, leaf_of_row, n_rows, values, output[tree])
        start = stop
