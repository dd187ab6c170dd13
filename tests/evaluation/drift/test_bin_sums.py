import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metamodel.evaluation.drift.bin_sums import by_slot, running_sums, sum_of_bins

pytestmark = pytest.mark.tableless

CELLS = arrays(np.float64, (7, 3, 10), elements=st.floats(-1e6, 1e6))


@given(CELLS)
def test_sums_bin_by_bin_are_those_of_numpy_to_the_last_bit(values: np.ndarray) -> None:
    np.testing.assert_array_equal(sum_of_bins(by_slot(values)), values.sum(axis=-1), strict=True)
    np.testing.assert_array_equal(running_sums(by_slot(values)), np.cumsum(values, axis=-1), strict=True)


def test_cells_of_one_slot_lie_side_by_side() -> None:
    counts = np.arange(2 * 3 * 12, dtype=np.uint32).reshape(2, 3, 12)
    held = by_slot(counts)
    np.testing.assert_array_equal(held, counts.astype(np.float64), strict=True)
    assert held.flags.f_contiguous
    assert running_sums(held).flags.f_contiguous
