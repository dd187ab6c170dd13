import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from metamodel.evaluation.drift.multiple_testing import named_cells, rejected, simes

pytestmark = pytest.mark.tableless

P_VALUES = arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.floats(0, 1))


@given(P_VALUES, st.floats(0.01, 0.5))
def test_rejections_are_those_of_benjamini_and_hochberg(p_values: np.ndarray, level: float) -> None:
    adjusted = stats.false_discovery_control(p_values, axis=1)
    clear = np.abs(adjusted - level) > 1e-12
    assert (rejected(p_values, level) == (adjusted <= level))[clear].all()


@given(P_VALUES)
def test_simes_falls_exactly_where_benjamini_and_hochberg_reject_anything(p_values: np.ndarray) -> None:
    combined = simes(p_values)
    smallest = stats.false_discovery_control(p_values, axis=1).min(axis=1)
    np.testing.assert_allclose(combined, smallest, atol=1e-300)


@given(P_VALUES)
def test_what_was_not_tested_counts_for_nothing(p_values: np.ndarray) -> None:
    padded = np.concatenate([p_values, np.full((len(p_values), 2), np.nan)], axis=1)
    np.testing.assert_array_equal(simes(padded), simes(p_values))
    np.testing.assert_array_equal(rejected(padded, 0.2)[:, :-2], rejected(p_values, 0.2))


def test_equal_weights_are_no_weights_and_a_heavy_test_counts_more() -> None:
    p_values = np.array([[0.01, 0.2, 0.3], [0.3, 0.2, 0.01]])
    np.testing.assert_allclose(simes(p_values, np.full(3, 7.0)), simes(p_values))
    assert simes(p_values, np.array([4.0, 1.0, 1.0])) == pytest.approx([0.015, 0.06])


@given(P_VALUES, st.floats(0.01, 0.3))
def test_a_group_alarms_exactly_where_a_column_is_named(p_values: np.ndarray, level: float) -> None:
    alarms, named = named_cells(p_values, level)
    assert (named.any(axis=1) == alarms).all()


def test_nothing_changed_is_called_changed_no_more_often_than_the_level_says() -> None:
    rng = np.random.default_rng(0)
    false = [named_cells(rng.random((200, 10)), 0.05)[0].any() for _ in range(1000)]
    assert np.mean(false) < 0.07
