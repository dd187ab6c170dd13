"""Names for the arrays that pass from file to file."""

from typing import Any

import numpy as np

__all__ = ["AnyArray", "BoolArray", "HashArray", "IntArray"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

AnyArray = np.ndarray[Any, Any]

HashArray = np.ndarray[Any, np.dtype[np.uint64]]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
