"""Held-out rows that a training keeps: an even sample, the same in every level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.holdout import HeldOut, child_ids, kept_share, level_column

pytestmark = pytest.mark.tableless


def held_out(rows: int) -> HeldOut:
    hashes = np.random.default_rng(0).integers(0, 2**64, rows, dtype=np.uint64)
    values = np.arange(rows, dtype=float)
    return HeldOut.of(hashes, values, values + 1, values, None, values.astype(np.int64))


@given(st.integers(1, 10**9), st.floats(0.01, 0.9), st.integers(1, 10**6))
def test_about_as_many_rows_are_kept_as_may_be(rows: int, holdout: float, limit: int) -> None:
    share = kept_share(rows, holdout, limit)
    assert 0 < share <= 1
    assert share * rows * holdout <= limit * (1 + 1e-9) or rows * holdout < 1


def test_a_sample_is_even_and_depends_on_the_row_alone() -> None:
    whole = held_out(10_000)
    sample = whole.sample(0.2)
    assert 1800 < len(sample) < 2200
    assert np.isin(sample.rows, whole.rows).all()
    half = whole.rows[:5000]
    again = HeldOut(half, whole.actual[:5000], whole.predicted[:5000]).sample(0.2)
    assert again.rows.tolist() == [row for row in sample.rows.tolist() if row in set(half.tolist())]


def test_all_arrays_of_a_sample_are_of_the_same_rows() -> None:
    sample = held_out(500).sample(0.3)
    assert sample.times is not None
    assert sample.children is not None
    assert (sample.predicted - 1).tolist() == sample.actual.tolist() == sample.times.tolist()
    assert sample.children.tolist() == sample.actual.tolist()


def test_the_whole_is_kept_where_it_is_small() -> None:
    whole = held_out(10)
    assert whole.sample(1.0) is whole


def test_predictions_take_the_targets_type() -> None:
    actual = np.array(["a", "b"], dtype=object)
    held = HeldOut.of(np.array([1, 2], dtype=np.uint64), actual, np.array(["a", "a"]), None)
    assert held.predicted.dtype == object


def test_a_group_has_the_same_number_in_every_table() -> None:
    first, second = child_ids([("FR", 7), ("DE", 7)]).tolist()
    assert child_ids([("DE", 7)]).tolist() == [second]
    assert first != second
    assert level_column(0) != level_column(1)
