import numpy as np
import pytest
from drift_tables import drift_table

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.0, 0.9, 1.1), (0.6, 2.0, 4.5)])
def test_replaying_finds_how_much_rows_depend_on_one_another(correlation: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 104))
    for week in range(1, 104):
        values[:, week] = correlation * values[:, week - 1] + np.sqrt(1 - correlation**2) * values[:, week]
    groups, times = np.repeat(np.arange(500), 104), np.tile(np.arange(104), 500)

    replays = build_reference(DriftColumns({"x": values.ravel()}), groups, 500, times).replays

    factors = replays[:, 0, :, 0].astype(float).mean(axis=0)
    assert ((factors > low) & (factors < high)).all()


def test_without_times_nothing_is_replayed() -> None:
    columns, groups, _ = drift_table(1)
    assert np.isnan(build_reference(columns, groups, 7).replays).all()
