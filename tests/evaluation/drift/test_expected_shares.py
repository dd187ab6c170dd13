import numpy as np
import pytest

from metamodel.evaluation.drift.bins import BINS, SLOTS
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.expected_shares import expected_distribution, tied_edges
from metamodel.evaluation.drift.judge_cells import judge_cells, judge_parents
from metamodel.evaluation.drift.multiple_testing import named_cells

pytestmark = pytest.mark.tableless

TRAINED = 26


def column(rows: int, zeros: float, rng: np.random.Generator) -> DriftColumns:
    return DriftColumns({"x": rng.exponential(size=rows) * (rng.random(rows) >= zeros)})


def test_edges_on_one_value_are_tied_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(60), np.arange(1.0, 41.0), rng.normal(size=100), np.full(100, 1e9)])
    reference = build_reference(DriftColumns({"x": values}), np.repeat([0, 1, 2], 100), 3)

    ties = tied_edges(reference.edges[:, 0])

    assert ties[0].tolist() == [True] * 6 + [False] * 3
    assert not ties[1].any()
    assert ties[2].all()


def test_beside_a_common_value_as_many_new_rows_are_expected_as_the_reference_has() -> None:
    counts = np.zeros(SLOTS)
    counts[[5, 7, 8, 9]] = 60, 20, 10, 10
    ties = np.arange(BINS - 1) < 6

    assert expected_distribution(counts, ties).round(4).tolist() == [
        *[0.0] * 5,
        0.6,
        *(round(1 - above / 101, 4) for above in (41, 21, 11)),
    ]


@pytest.mark.parametrize("rows", [20, 100])
@pytest.mark.parametrize("zeros", [0.45, 0.6, 0.9])
def test_thousands_of_groups_of_zeros_that_did_not_change_are_no_change_of_all(zeros: float, rows: int) -> None:
    """Each group's mean was off by a block that is not there: of 10,000 groups together that was up to 14 sd."""
    groups, rng = 8000, np.random.default_rng(int(zeros * 100) + rows)
    of_before, of_now = (np.repeat(np.arange(groups), each) for each in (TRAINED, rows))
    reference = build_reference(column(len(of_before), zeros, rng), of_before, groups)
    counts = count_rows(reference, column(len(of_now), zeros, rng), of_now)
    everywhere = [(np.zeros(groups, dtype=np.int64), 1)]

    cells, sums = judge_cells(reference, counts, everywhere)
    parent = judge_parents(reference, sums[0])

    assert parent.p_value[0, 0] > 1e-3
    assert not (named_cells(cells.p_value, 0.05)[1] & cells.matters(0.1)).any()


def test_a_parent_whose_zeros_became_fewer_is_still_found() -> None:
    groups, rng = 200, np.random.default_rng(1)
    of_before, of_now = (np.repeat(np.arange(groups), each) for each in (TRAINED, 30))
    reference = build_reference(column(len(of_before), 0.9, rng), of_before, groups)
    counts = count_rows(reference, column(len(of_now), 0.8, rng), of_now)

    _, sums = judge_cells(reference, counts, [(np.zeros(groups, dtype=np.int64), 1)])
    parent = judge_parents(reference, sums[0])

    assert parent.p_value[0, 0] < 1e-6
    assert parent.matters(0.1).all()
