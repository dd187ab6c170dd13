"""The compiled walk through flattened trees; importing this needs numba (the extra `fast`).

Compiled when it is imported, with its machine code cached on disk: whoever opens a bundle with stacked trees pays for
the compilation once a machine, and no request does.
"""

from typing import Any

import numba
import numpy as np

from metamodel.frames import AnyArray

__all__ = ["walk"]


def _read_only(kind: Any, dimensions: int = 1) -> Any:
    return numba.types.Array(kind, dimensions, "C", readonly=True)  # a memory map is


_SIGNATURE = numba.void(
    _read_only(numba.float64, 2),
    _read_only(numba.int64),
    _read_only(numba.float64),
    _read_only(numba.int32),
    _read_only(numba.int32),
    _read_only(numba.int64),
    _read_only(numba.int64),
    _read_only(numba.int32),
    _read_only(numba.float64, 2),
    numba.types.Array(numba.float64, 2, "C"),
)


@numba.njit(_SIGNATURE, cache=True, nogil=True)  # type: ignore[untyped-decorator]
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

    The arrays are those of `metamodel.stacking.trees.TreeProgram`; `scores` has shape (n_rows, n_scores).
    """
    start = 0
    while start < len(positions):
        child = positions[start]
        stop = start + 1
        while stop < len(positions) and positions[stop] == child:
            stop += 1
        # One tree after the other over all rows of a child: its nodes stay in the fastest cache.
        for tree in range(first_tree[child], first_tree[child + 1]):
            for row in range(start, stop):
                node = root[tree]
                code = feature[node]
                while code >= 0:
                    value = x[row, code >> 1]
                    # NaN is not equal to itself; the lowest bit says where a missing value goes.
                    if value != value:  # noqa: PLR0124
                        node = node + 1 if code & 1 else np.int64(right[node])
                    else:
                        node = node + 1 if value <= threshold[node] else np.int64(right[node])
                    code = feature[node]
                if output[tree] >= 0:
                    scores[row, output[tree]] += threshold[node]
                else:
                    for k in range(scores.shape[1]):
                        scores[row, k] += values[right[node], k]
        start = stop
