"""Edges, counts, tails and moments of sorted cells, against each group taken for itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.drift.bins import SLOTS, decile_edges, number_slots
from metamodel.evaluation.drift.record_numbers import record_numbers

pytestmark = pytest.mark.tableless

VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, np.nan, np.inf, -np.inf, 1e300, -1e300, 0.1]),
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6),
)
GROUPS = st.lists(st.lists(VALUES, max_size=40), min_size=1, max_size=6)


@given(GROUPS)
def test_counts_are_those_of_rows_put_into_the_bins_of_their_group(groups: list[list[float]]) -> None:
    values, sizes = np.array([value for group in groups for value in group]), np.array(list(map(len, groups)))
    of_row = np.repeat(np.arange(len(groups)), sizes)

    recorded = record_numbers([values], np.arange(len(values)), sizes)

    edges = decile_edges(values, sizes)
    np.testing.assert_array_equal(recorded.edges[:, 0], edges)
    counted = np.bincount(of_row * SLOTS + number_slots(values, sizes, edges), minlength=len(groups) * SLOTS)
    np.testing.assert_array_equal(recorded.counts[:, 0], counted.reshape(-1, SLOTS))


@given(GROUPS)
def test_tails_and_moments_are_those_of_finite_values(groups: list[list[float]]) -> None:
    # Squares of the largest ones are none any more.
    groups = [[value for value in group if np.isnan(value) or abs(value) < 1e9 or np.isinf(value)] for group in groups]
    values, sizes = np.array([value for group in groups for value in group]), np.array(list(map(len, groups)))

    recorded = record_numbers([values], np.arange(len(values)), sizes)

    for i, group in enumerate(groups):
        own = np.array(group, dtype=np.float64)
        finite = own[np.isfinite(own)]
        expected = [np.nan, np.nan] if not len(finite) else [finite.mean(), finite.std()]
        np.testing.assert_allclose(recorded.moments[i, 0], expected, rtol=1e-5, atol=1e-4)
        slots = number_slots(own, np.array([len(own)]), recorded.edges[i : i + 1, 0])
        for place, slot in enumerate((0, 9)):
            inside = own[(slots == slot) & np.isfinite(own)]
            mean = inside.mean() if len(inside) else np.nan
            np.testing.assert_allclose(recorded.tails[i, 0, place], mean, rtol=1e-5, atol=1e-4)


@given(st.integers(0, 100), st.integers(1, 5))
def test_columns_and_groups_do_not_depend_on_what_stands_beside_them(seed: int, n_columns: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 300, 9)
    columns = [rng.normal(size=sizes.sum()).round(int(rng.integers(0, 9))) for _ in range(n_columns)]
    order = rng.permutation(sizes.sum())

    together = vars(record_numbers(columns, order, sizes))

    starts = np.cumsum(sizes) - sizes
    for i, column in enumerate(columns):
        for group, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            alone = vars(record_numbers([column], order[start : start + size], np.array([size])))
            for name, array in together.items():
                np.testing.assert_array_equal(array[group, i], alone[name][0, 0], err_msg=name)


def test_the_spread_of_one_value_is_nothing() -> None:
    recorded = record_numbers([np.full(40, 0.1)], np.arange(40), np.array([40]))

    assert recorded.moments[0, 0].tolist() == [np.float32(0.1), 0.0]
