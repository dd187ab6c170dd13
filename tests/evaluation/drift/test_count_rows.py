import pytest
from drift_tables import drift_table
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows

pytestmark = pytest.mark.tableless


@given(st.integers(0, 50))
def test_counting_the_training_rows_gives_the_reference_counts(seed: int) -> None:
    columns, groups, times = drift_table(seed)

    reference = build_reference(columns, groups, 7, times)

    assert (count_rows(reference, columns, groups) == reference.counts).all()


@given(st.integers(0, 50), st.integers(1, 599))
def test_counts_of_parts_add_up_to_the_counts_of_all_rows(seed: int, cut: int) -> None:
    columns, groups, _ = drift_table(seed)
    reference = build_reference(columns, groups, 7)
    window, of_row, _ = drift_table(seed + 1)

    parts = [slice(0, cut), slice(cut, None)]
    first, second = (count_rows(reference, window.take(part), of_row[part]) for part in parts)

    assert (first + second == count_rows(reference, window, of_row)).all()
