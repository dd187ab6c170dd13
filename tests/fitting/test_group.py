"""The rows of one group: whatever is taken of them is taken of every column that they have."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.fitting.group import GroupData

ROWS = 6


def group(form="array", **columns):
    x = np.arange(2.0 * ROWS).reshape(ROWS, 2)
    x = pd.DataFrame(x, columns=["a", "b"], index=[7] * ROWS) if form == "frame" else x
    return GroupData(("FR", 1), x, np.arange(ROWS), np.arange(ROWS, dtype=np.uint64), **columns)


def full(form):
    times, weights = np.arange(ROWS) * 10, np.arange(ROWS) / 10
    return group(form, times=times, weights=weights, children=np.arange(ROWS, dtype=np.int64) + 100)


def numbers(data):
    """Number of each row, as every column of the group tells it."""
    return [
        (np.asarray(data.x)[:, 0] / 2).tolist(),
        *(values.tolist() for values in (data.y, data.hashes, data.times // 10, data.children - 100)),
        np.round(data.weights * 10).tolist(),
    ]


@pytest.mark.parametrize("form", ["array", "frame"])
@given(positions=st.lists(st.integers(0, ROWS - 1), max_size=9))
def test_rows_at_some_positions_are_taken_in_their_order_and_of_every_column(form, positions):
    taken = full(form).take(np.array(positions, dtype=np.int64))
    assert all(column == positions for column in numbers(taken))
    assert (taken.key, type(taken.x)) == (("FR", 1), type(full(form).x))


@pytest.mark.parametrize("form", ["array", "frame"])
@given(mask=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_a_mask_takes_the_rows_for_which_it_is_true(form, mask):
    taken = full(form).take(np.array(mask))
    assert all(column == np.flatnonzero(mask).tolist() for column in numbers(taken))


def test_what_a_group_does_not_have_is_not_made_up():
    taken = group().take(np.array([2, 0]))
    assert (taken.times, taken.weights, taken.children) == (None, None, None)
