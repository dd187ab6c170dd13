import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metamodel.evaluation.drift.exact_tails import at_least_beta_binomial, at_least_hypergeometric

pytestmark = pytest.mark.tableless

COUNTS = st.integers(0, 60)


def _is_tail(tail: float, exact: float) -> bool:
    """A tail that was not summed up is 1, and hides nothing that anybody would reject."""
    return tail == pytest.approx(exact, rel=1e-9, abs=1e-13) or (tail == 1.0 and exact > 0.1)


@given(COUNTS, COUNTS, st.integers(1, 50), st.integers(1, 200))
def test_a_beta_binomial_tail_is_scipys(count: int, others: int, inside: int, outside: int) -> None:
    rows = count + others
    tail = at_least_beta_binomial(*(np.array([number]) for number in (count, rows, inside, outside)))[0]
    assert _is_tail(tail, stats.betabinom.pmf(np.arange(count, rows + 1), rows, inside, outside).sum())


@given(COUNTS, st.integers(1, 60), COUNTS, COUNTS)
def test_a_hypergeometric_tail_is_scipys(count: int, others: int, before: int, others_before: int) -> None:
    rows, rows_before = count + others, before + others_before
    tail = at_least_hypergeometric(*(np.array([number]) for number in (count, rows, before, rows_before)))[0]
    exact = stats.hypergeom.sf(count - 1, rows + rows_before, count + before, rows)
    assert _is_tail(tail, exact)


def test_a_tail_of_millions_of_rows_is_bounded_from_above() -> None:
    rows = np.array([4_000_000])
    tail = at_least_beta_binomial(np.array([402_000]), rows, np.array([400_000]), np.array([3_600_000]))[0]
    exact = stats.norm.sf((402_000 - 400_000) / np.sqrt(4e6 * 0.09 * 2))
    assert exact <= tail < 2 * exact
