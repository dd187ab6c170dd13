"""What is said of many groups at once is what is said of each alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metamodel.evaluation.many_groups import groups_with_copies, hash_holdouts, many_regression_metrics
from metamodel.evaluation.metrics import regression_metrics
from metamodel.evaluation.splits import copies, hash_holdout

pytestmark = pytest.mark.tableless

HASHES = st.lists(
    st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1)), min_size=1, max_size=6), min_size=1, max_size=8
)


def _joined(groups):
    parts = [np.array(group, dtype=np.uint64) for group in groups]
    sizes = np.array([len(part) for part in parts])
    return parts, np.concatenate(parts), np.cumsum(sizes) - sizes


@given(HASHES, st.sampled_from([0.05, 0.2, 0.5, 0.95]))
def test_each_group_is_split_as_it_is_alone(groups, fraction):
    parts, hashes, starts = _joined(groups)
    held, can_split = hash_holdouts(hashes, starts, fraction)
    for part, start, splits in zip(parts, starts, can_split, strict=True):
        alone = hash_holdout(part, fraction)
        assert splits == (alone is not None)
        if splits:
            assert held[start : start + len(part)].tolist() == alone.tolist()


@given(HASHES)
def test_groups_with_copies_are_found(groups):
    parts, hashes, starts = _joined(groups)
    assert groups_with_copies(hashes, starts).tolist() == [bool(copies(part).any()) for part in parts]


@given(
    st.integers(1, 40).flatmap(
        lambda rows: arrays(np.float64, (2, 3, rows), elements=st.floats(-1e6, 1e6, allow_subnormal=False))
    )
)
def test_metrics_are_those_of_each_group_to_the_bit(values):
    y, predicted = values
    together = many_regression_metrics(y, predicted)
    for i in range(3):
        alone = regression_metrics(y[i], predicted[i])
        assert {name: repr(float(column[i])) for name, column in together.items()} == {
            name: repr(value) for name, value in alone.items()
        }
