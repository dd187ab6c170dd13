import numpy as np
import pytest
from drift_tables import drift_table
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_reference import DriftReference

pytestmark = pytest.mark.tableless


@given(st.integers(0, 50))
def test_a_group_has_the_same_reference_alone_as_among_others(seed: int) -> None:
    columns, groups, times = drift_table(seed)
    together = build_reference(columns, groups, 7, times)

    parts = []
    for group in range(7):
        rows = np.flatnonzero(groups == group)
        parts.append(build_reference(columns.take(rows), np.zeros(len(rows), dtype=int), 1, times[rows]))
    apart = DriftReference.concat(parts)

    for name, array in together.to_arrays().items():
        np.testing.assert_array_equal(array, apart.to_arrays()[name], err_msg=name)
    assert apart.vocabulary == together.vocabulary


def test_the_order_of_rows_does_not_matter() -> None:
    columns, groups, _ = drift_table(3)
    times = np.random.default_rng(0).permutation(len(groups))
    order = np.random.default_rng(1).permutation(len(groups))

    first = build_reference(columns, groups, 7, times).to_arrays()
    second = build_reference(columns.take(order), groups[order], 7, times[order]).to_arrays()

    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
