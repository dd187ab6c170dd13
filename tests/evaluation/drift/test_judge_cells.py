import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.drift.bins import MISSING
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.calibration import variance_factors
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.evaluation.drift.judge_cells import (
    DISTRIBUTION,
    MISSING_VALUES,
    UNSEEN_CATEGORIES,
    JudgedCells,
    judge_cells,
    judge_parents,
)
from metamodel.evaluation.drift.multiple_testing import named_cells

pytestmark = pytest.mark.tableless

N_GROUPS = 400
TRAINED = 104
ROWS = 40

LAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(2, size=size),
    "lognormal": lambda rng, size: rng.lognormal(size=size),
    "zeros": lambda rng, size: np.where(rng.random(size) < 0.8, 0.0, rng.exponential(size=size)),
    "integers": lambda rng, size: rng.poisson(2, size=size).astype(float),
    "gaps": lambda rng, size: np.where(rng.random(size) < 0.3, np.nan, rng.normal(size=size)),
}


def _columns(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    numbers = {name: law(rng, rows) for name, law in LAWS.items()}
    return {**numbers, "shop": rng.choice(list("abcdef"), rows, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]).astype(object)}


def _reference(seed: int = 0, n_groups: int = N_GROUPS) -> DriftReference:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), TRAINED)
    return build_reference(DriftColumns.of(_columns(rng, len(groups))), groups, n_groups)


def _judged(
    reference: DriftReference, columns: dict[str, np.ndarray], groups: np.ndarray
) -> tuple[JudgedCells, JudgedCells]:
    counts = count_rows(reference, DriftColumns.of(columns), groups)
    own, sums = judge_cells(reference, counts, [(np.zeros(len(reference), dtype=np.int64), 1)])
    return own, judge_parents(reference, sums[0])


def test_rows_of_the_same_laws_rarely_have_small_p_values() -> None:
    reference, rng = _reference(), np.random.default_rng(1)
    groups = np.repeat(np.arange(N_GROUPS), ROWS)

    small, alarms = np.zeros(len(reference.columns)), 0
    for _ in range(25):  # 10,000 cells a column
        cells, world = _judged(reference, _columns(rng, len(groups)), groups)
        small += (cells.p_value < 0.001).mean(axis=0) / 25
        alarms += named_cells(cells.p_value, 0.05)[0].any()
        assert not (named_cells(world.p_value, 0.05)[1] & world.matters(0.1)).any()

    assert (small < 0.002).all()
    assert alarms <= 3  # of 25 windows


@pytest.mark.parametrize(
    ("column", "change", "part"),
    [
        ("normal", lambda x, rng: x + 1.5, DISTRIBUTION),
        ("normal", lambda x, rng: x * 4, DISTRIBUTION),
        ("lognormal", lambda x, rng: x * 1000, DISTRIBUTION),
        ("zeros", lambda x, rng: np.where(rng.random(len(x)) < 0.7, 3.0, x), DISTRIBUTION),
        ("gaps", lambda x, rng: np.where(rng.random(len(x)) < 0.8, np.nan, x), MISSING_VALUES),
        ("normal", lambda x, rng: np.where(rng.random(len(x)) < 0.4, np.nan, x), MISSING_VALUES),
        ("shop", lambda x, rng: np.where(rng.random(len(x)) < 0.4, "zz", x), UNSEEN_CATEGORIES),
        ("shop", lambda x, rng: np.where(rng.random(len(x)) < 0.7, "f", x), DISTRIBUTION),
    ],
)
def test_a_changed_column_is_named_and_no_other(column: str, change: object, part: int) -> None:
    reference, rng = _reference(), np.random.default_rng(2)
    groups = np.repeat(np.arange(N_GROUPS), ROWS)
    columns = _columns(rng, len(groups))
    changed = groups < 8
    columns[column][changed] = change(columns[column], rng)[changed]  # type: ignore[operator]

    cells, world = _judged(reference, columns, groups)

    named = named_cells(cells.p_value, 0.05)[1]
    place = reference.columns.index(column)
    assert named[:8, place].mean() >= 0.75
    named[:8, place] = False
    assert named.sum() <= 1
    smallest = np.nanargmin(cells.parts[:8, place], axis=-1)
    assert np.median(smallest) == part
    assert cells.matters(0.1)[:8, place].all()
    assert not world.matters(0.1).any()


def test_what_changed_everywhere_changed_in_the_world_even_where_groups_are_tiny() -> None:
    reference, rng = _reference(), np.random.default_rng(3)
    groups = np.repeat(np.arange(N_GROUPS), 3)
    columns = _columns(rng, len(groups))
    columns["lognormal"] *= 1000
    columns["shop"][:] = "elsewhere"

    cells, world = _judged(reference, columns, groups)

    assert np.isnan(cells.p_value).all()
    names = [reference.columns[i] for i in np.flatnonzero((world.p_value[0] < 1e-9) & world.matters(0.1)[0])]
    assert names == ["lognormal", "shop"]


def test_cells_do_not_depend_on_the_other_groups_of_the_call() -> None:
    reference, rng = _reference(), np.random.default_rng(4)
    groups = np.repeat(np.arange(N_GROUPS), ROWS)
    counts = count_rows(reference, DriftColumns.of(_columns(rng, len(groups))), groups)

    together = judge_cells(reference, counts)[0]
    some = np.array([7, 300])
    apart = judge_cells(reference.take(some), counts[some])[0]

    np.testing.assert_allclose(together.p_value[some], apart.p_value)


def test_an_upward_column_does_not_alarm_for_smaller_values() -> None:
    reference, rng = _reference(), np.random.default_rng(5)
    groups = np.repeat(np.arange(N_GROUPS), ROWS)
    columns = _columns(rng, len(groups))
    columns["normal"] -= 3
    counts = count_rows(reference, DriftColumns.of(columns), groups)
    place = reference.columns.index("normal")

    both = judge_cells(reference, counts)[0].p_value[:, place]
    upward = judge_cells(reference, counts, upward=["normal"])[0].p_value[:, place]

    assert both.max() < 1e-6
    assert upward.min() > 0.5


def test_a_reference_without_replays_has_factors_of_one() -> None:
    assert (variance_factors(_reference(n_groups=2)) == 1).all()


def test_a_group_without_rows_or_reference_is_not_tested() -> None:
    columns = DriftColumns.of({"x": np.arange(30.0)})
    reference = build_reference(columns, np.zeros(30, dtype=int), 2)

    cells = judge_cells(reference, count_rows(reference, columns, np.ones(30, dtype=int)))[0]

    assert np.isnan(cells.p_value).all()
    assert reference.counts[0, 0, MISSING] == 0


def test_a_constant_column_that_changes_is_found() -> None:
    columns = DriftColumns.of({"x": np.full(50, 7.0)})
    reference = build_reference(columns, np.zeros(50, dtype=int), 1)
    window = DriftColumns.of({"x": pd.Series([7.0] * 20 + [8.0] * 20)})

    cells = judge_cells(reference, count_rows(reference, window, np.zeros(40, dtype=int)))[0]

    assert cells.p_value[0, 0] < 1e-4
    assert cells.effect[0, 0] > 0.3
