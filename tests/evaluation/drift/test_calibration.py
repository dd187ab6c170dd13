import numpy as np
import pytest

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.calibration import cell_factors, empirical_factors
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.judge_cells import (
    judge_cells,
)
from metamodel.evaluation.drift.multiple_testing import named_cells

pytestmark = pytest.mark.tableless


TRAINED = 104


def test_windows_of_rows_that_depend_on_one_another_do_not_alarm() -> None:
    rng = np.random.default_rng(0)
    n_groups, weeks = 300, TRAINED + 26
    values = rng.normal(size=(n_groups, weeks))
    for week in range(1, weeks):
        values[:, week] = 0.6 * values[:, week - 1] + 0.8 * values[:, week]
    groups, times = np.repeat(np.arange(n_groups), TRAINED), np.tile(np.arange(TRAINED), n_groups)
    reference = build_reference(DriftColumns({"x": values[:, :TRAINED].ravel()}), groups, n_groups, times)
    window, of_row = DriftColumns({"x": values[:, TRAINED:].ravel()}), np.repeat(np.arange(n_groups), 26)

    counts = count_rows(reference, window, of_row)
    believed = build_reference(DriftColumns({"x": values[:, :TRAINED].ravel()}), groups, n_groups)

    assert named_cells(judge_cells(believed, counts)[0].p_value, 0.05)[0].any()
    assert not named_cells(judge_cells(reference, counts)[0].p_value, 0.05)[0].any()


def test_a_longer_window_gets_the_factor_of_longer_blocks() -> None:
    pooled = np.arange(1.0, 10.0).reshape(1, 3, 3)
    rows_before = np.full((3, 1), 160.0)
    factors = cell_factors(pooled, rows_before, np.array([[10.0], [20.0], [100.0]]))
    assert factors[:, 0, 0].tolist() == [1.0, 4.0, 7.0]


@pytest.mark.parametrize(("held", "rows"), [(26, 24), (104, 24)])
def test_a_few_groups_that_changed_hardly_widen_what_is_expected_of_all(held: int, rows: int) -> None:
    rng = np.random.default_rng(1)
    of_held, of_rows = (np.repeat(np.arange(20_000), each) for each in (held, rows))
    reference = build_reference(DriftColumns({"x": rng.normal(size=len(of_held))}), of_held, 20_000)
    values = rng.normal(size=len(of_rows)) + (of_rows < 400)  # one group in fifty changed
    counts = count_rows(reference, DriftColumns({"x": values}), of_rows)

    factors = empirical_factors(reference, counts, ["x"])

    # They moved a bound of the few counts in a tail by a whole one, which made it 1.2 times as wide.
    assert 1.0 <= factors[0, 0, :3].min() <= factors[0, 0, :3].max() < 1.1


def test_where_every_group_changed_the_factor_is_a_number() -> None:
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(50), 30)
    reference = build_reference(DriftColumns({"x": rng.normal(size=len(groups))}), groups, 50)
    counts = count_rows(reference, DriftColumns({"x": rng.normal(9, size=len(groups))}), groups)

    factors = empirical_factors(reference, counts, ["x"])

    assert ((factors >= 1) & (factors <= 4)).all()


@pytest.mark.parametrize(("bias", "low", "high"), [(0.0, 1.0, 1.3), (0.2, 1.8, 2.6)])
def test_what_most_groups_show_is_what_is_to_be_expected(bias: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(1000), 30)
    leaning = [bias * rng.normal(size=1000) for _ in range(2)]
    before, now = (rng.normal(size=len(groups)) + lean[groups] for lean in leaning)
    now[groups < 20] += 2  # a few that changed do not count
    reference = build_reference(DriftColumns({"x": before, "y": before}), groups, 1000)
    counts = count_rows(reference, DriftColumns({"x": now, "y": now}), groups)

    factors = empirical_factors(reference, counts, ["x"])

    assert low <= factors[0, 0, 0] <= high
    assert (factors[1] == 1).all()
    assert (empirical_factors(reference.take(np.arange(29)), counts[:29], ["x"]) == 1).all()
