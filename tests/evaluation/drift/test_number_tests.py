import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.number_tests import number_cells, number_excess

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize(("trained", "rows"), [(12, 60), (26, 48), (104, 48)])
def test_scores_of_many_groups_vary_as_they_are_said_to_however_few_rows_the_reference_has(
    trained: int, rows: int
) -> None:
    rng, groups = np.random.default_rng(0), 20_000
    reference = build_reference(
        DriftColumns({"x": rng.normal(size=groups * trained)}), np.repeat(np.arange(groups), trained), groups
    )
    window = DriftColumns({"x": rng.normal(size=groups * rows)})
    excess, variance = number_excess(
        reference.counts, count_rows(reference, window, np.repeat(np.arange(groups), rows))
    )
    z = (excess / np.sqrt(variance))[:, 0, 0]
    assert z.var() == pytest.approx(1, abs=0.03)
    assert (abs(z) > 2.576).mean() < 0.0115


def test_rows_that_moved_by_a_standard_deviation_are_not_taken_for_rows_that_moved_by_less() -> None:
    """Of what the test of known standard deviation says, 4.4, ranks say 3.87: the largest one is soon reached."""
    rng, groups, trained, rows = np.random.default_rng(1), 2000, 104, 24
    reference = build_reference(
        DriftColumns({"x": rng.normal(size=groups * trained)}), np.repeat(np.arange(groups), trained), groups
    )
    window = DriftColumns({"x": rng.normal(1, size=groups * rows)})
    excess, variance = number_excess(
        reference.counts, count_rows(reference, window, np.repeat(np.arange(groups), rows))
    )

    assert (excess / np.sqrt(variance))[:, 0, 0].mean() > 3.95


@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(5, 200))
def test_the_sum_of_scores_agrees_with_van_der_waerden_on_values_without_ties(
    seed: int, trained: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    before, now = rng.normal(size=trained), rng.normal(0.2, size=rows)
    reference = build_reference(DriftColumns({"x": before}), np.zeros(trained, dtype=int), 1)
    counts = count_rows(reference, DriftColumns({"x": now}), np.zeros(rows, dtype=int))

    cells = number_cells(reference.counts, counts, np.ones((1, 1, 3)), np.zeros(1, dtype=bool))
    z = cells.excess[0, 0, 0] / np.sqrt(cells.variance[0, 0, 0])

    every = trained + rows
    scores = stats.norm.ppf(stats.rankdata(np.concatenate([now, before])) / (every + 1))
    variance = trained * rows / (every * (every - 1)) * (scores**2).sum()
    exact = scores[:rows].sum() / np.sqrt(variance)
    assert z == pytest.approx(exact, abs=0.75)
