import numpy as np
import pytest
from scipy import stats

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.effects import distribution_moves, shown_distances, total_variation

pytestmark = pytest.mark.tableless


def test_the_effect_is_the_wasserstein_distance_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.normal(5, 2, 20_000), rng.normal(6, 2, 20_000)
    reference = build_reference(DriftColumns({"x": before}), np.zeros(20_000, dtype=int), 1)
    counts = count_rows(reference, DriftColumns({"x": now}), np.zeros(20_000, dtype=int))

    moves = distribution_moves(reference.counts, counts, reference.edges, reference.tails, reference.moments[..., 1])

    assert np.abs(moves).sum() == pytest.approx(stats.wasserstein_distance(before, now) / 2, rel=0.15)


def test_equal_counts_are_at_no_distance_and_disjoint_ones_at_the_largest() -> None:
    before, same, other = np.zeros((3, 12))
    before[:2], same[:2], other[5:7] = 500, 500, 500

    assert shown_distances(before, same)["js"] == pytest.approx(0)
    assert shown_distances(before, same)["psi_excess"] < 0.01
    assert shown_distances(before, other)["js"] == pytest.approx(1)
    assert shown_distances(before, other)["ks"] == pytest.approx(1)
    assert total_variation(before, other) == pytest.approx(1)
