"""Names for the arrays that pass from file to file."""

from typing import Any

import numpy as np

__all__ = ["FEW_ROWS", "AnyArray", "BoolArray", "HashArray", "IntArray"]

# For so few rows each call of NumPy costs more than a loop.
FEW_ROWS = 16

IntArray = np.ndarray[Any, np.dtype[np.int64]]

AnyArray = np.ndarray[Any, Any]

HashArray = np.ndarray[Any, np.dtype[np.uint64]]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
