"""Every row of every group stands in exactly one stack."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.fitting.array_fits import row_stacks as module
from metamodel.fitting.array_fits.row_stacks import GroupSpans, row_stacks

pytestmark = pytest.mark.tableless


def _spans(sizes):
    return GroupSpans(np.arange(100, 100 + sum(sizes)), np.cumsum(sizes) - np.array(sizes, dtype=int))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_every_group_with_rows_is_in_one_stack(sizes):
    seen = {}
    for stack in row_stacks(_spans(sizes), 2):
        for group, positions, places in zip(stack.groups.tolist(), stack.positions, stack.places, strict=True):
            assert group not in seen
            assert positions.tolist() == (places + 100).tolist()
            seen[group] = places.tolist()
    expected, start = {}, 0
    for group, size in enumerate(sizes):
        if size:
            expected[group] = list(range(start, start + size))
        start += size
    assert seen == expected


def test_a_stack_holds_no_more_numbers_than_it_may(monkeypatch):
    monkeypatch.setattr(module, "_NUMBERS", 12)
    assert [len(stack.groups) for stack in row_stacks(_spans([2] * 7), 3)] == [2, 2, 2, 1]


def test_rows_are_left_out_and_groups_chosen():
    spans = _spans([2, 3, 1])
    kept = spans.where(np.array([True, False, False, False, False, True]))
    assert (kept.positions.tolist(), kept.sizes.tolist(), kept.codes.tolist()) == ([100, 105], [1, 0, 1], [0, 2])
    chosen = spans.of(np.array([2, 1]))
    assert (chosen.positions.tolist(), chosen.starts.tolist()) == ([105, 102, 103, 104], [0, 1])
