import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metamodel.evaluation.drift.bins import BINS, MISSING, OTHER, UNSEEN
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns

pytestmark = pytest.mark.tableless


# Edges are of single precision: values at its very end are rounded beyond it.
FLOATS = st.floats(-1e38, 1e38) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(arrays.arrays(np.float64, st.integers(1, 80), elements=FLOATS), st.integers(1, 5))
def test_at_most_a_tenth_of_the_rows_lies_in_each_tail_whatever_the_ties(values: np.ndarray, n_groups: int) -> None:
    groups = np.arange(len(values)) % n_groups

    reference = build_reference(DriftColumns({"x": values}), groups, n_groups)

    there = np.bincount(groups[~np.isnan(values)], minlength=n_groups)
    counts = reference.counts[:, 0].astype(int)
    assert (counts[:, :BINS].sum(axis=1) == there).all()
    assert (counts[:, MISSING] == np.bincount(groups, minlength=n_groups) - there).all()
    assert (counts[:, [0, BINS - 1]] <= there[:, None] // 10).all()


def test_a_zero_inflated_column_keeps_its_positive_rows_apart() -> None:
    values = np.r_[np.zeros(95), 1.0, 2.0, 3.0, 4.0, 5.0]

    counts = build_reference(DriftColumns({"x": values}), np.zeros(100, dtype=int), 1).counts[0, 0]

    assert counts[BINS - 1] == 5
    assert counts[0] == 0


def test_rare_unseen_and_missing_categories_have_slots_of_their_own() -> None:
    seen = pd.Series([chr(97 + i // 2) for i in range(22)], dtype=object)
    reference = build_reference(DriftColumns.of({"x": seen}), np.zeros(22, dtype=int), 1)

    window = DriftColumns.of({"x": pd.Series(["new", None, *"abcdefghijk"], dtype=object)})
    counts = count_rows(reference, window, np.zeros(13, dtype=int))[0, 0]

    assert counts[:OTHER].tolist() == [1] * 9
    assert counts[[OTHER, UNSEEN, MISSING]].tolist() == [2, 1, 1]
