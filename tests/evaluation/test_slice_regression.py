"""Regression by slices: the paired test, its interval, clusters, and many slices at once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metamodel.evaluation.slice_regression import judged_slices, slice_regressions, time_blocks

ROWS = np.arange(400)


def losses(seed: int, rise: float = 0.0, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two models' losses of the same rows, the new one larger by a share on average."""
    random = np.random.default_rng(seed)
    old = np.abs(random.normal(size=rows))
    return old * (1 + rise) * random.uniform(0.8, 1.2, size=rows), old


def test_one_slice_of_independent_rows_is_a_one_sided_paired_t_test() -> None:
    new, old = losses(0, 0.1)
    table = slice_regressions(new, old, np.zeros(400, dtype=int), [ROWS], margin=0.03)
    expected = stats.ttest_1samp(new - 1.03 * old, 0, alternative="greater").pvalue
    assert table["p_value"][0] == pytest.approx(expected, rel=1e-9)
    assert table["regression"][0] == pytest.approx(new.mean() / old.mean() - 1)


def test_weights_count_as_copies_of_rows_do_for_the_means() -> None:
    new, old = losses(1)
    weights = np.where(ROWS < 100, 3.0, 1.0)
    weighted = slice_regressions(new, old, np.zeros(400, dtype=int), [ROWS], 0.0, weights)
    copies = np.repeat(ROWS, weights.astype(int))
    copied = slice_regressions(new[copies], old[copies], np.zeros(600, dtype=int), [copies], 0.0)
    assert weighted["regression"][0] == pytest.approx(copied["regression"][0], rel=1e-12)
    assert weighted["p_value"][0] == pytest.approx(copied["p_value"][0], rel=1e-9)


@given(st.integers(0, 10_000), st.floats(-0.2, 0.4), st.floats(0, 0.2), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_slice_is_worse_exactly_where_the_lower_end_of_its_interval_is_above_the_margin(
    seed: int, rise: float, margin: float, confidence: float
) -> None:
    new, old = losses(seed, rise)
    table = slice_regressions(new, old, ROWS % 7, [ROWS, ROWS // 3], margin)
    judged = judged_slices(table, margin, confidence)
    raw = judged["p_value"].sort_values().to_numpy()
    by_hand = max((i + 1 for i, p in enumerate(raw) if p <= (1 - confidence) * (i + 1) / len(raw)), default=0)
    assert judged["worse"].sum() == by_hand
    assert (judged["lower"] > margin - 1e-9)[judged["worse"]].all()
    assert (judged["lower"] <= margin + 1e-9)[~judged["worse"]].all()


def test_the_interval_is_the_set_of_margins_that_the_test_rejects() -> None:
    new, old = losses(2, 0.2)
    slices = np.zeros(400, dtype=int)
    lower = judged_slices(slice_regressions(new, old, slices, [ROWS], 0.0), 0.0, 0.95)["lower"][0]
    below, above = (slice_regressions(new, old, slices, [ROWS], lower + step)["p_value"][0] for step in (-1e-6, 1e-6))
    assert below < 0.05 < above


def test_rows_of_one_group_do_not_count_as_independent() -> None:
    """A child that is worse in one group of ten is no evidence about all rows, however many rows the group has."""
    random = np.random.default_rng(3)
    groups = ROWS // 40
    old = np.abs(random.normal(size=400)) + 1
    new = old * (1 + random.normal(0, 0.2, size=10))[groups]
    slices = np.zeros(400, dtype=int)
    alone = slice_regressions(new, old, slices, [ROWS], 0.0)
    clustered = slice_regressions(new, old, slices, [ROWS, groups], 0.0)
    assert clustered["var_new"][0] + clustered["var_old"][0] - 2 * clustered["cov"][0] > 10 * (
        alone["var_new"][0] + alone["var_old"][0] - 2 * alone["cov"][0]
    )
    assert clustered["freedom"][0] == 9


def test_of_a_hundred_slices_without_a_rise_few_runs_find_one() -> None:
    found = 0
    for seed in range(100):
        new, old = losses(seed, rows=5000)
        new *= old.mean() / new.mean() * 1.03
        slices = np.arange(5000) // 50
        judged = judged_slices(slice_regressions(new, old, slices, [np.arange(5000)], 0.03), 0.03, 0.95)
        found += judged["worse"].any()
    assert found <= 10


def test_one_slice_that_is_ten_percent_worse_is_found_among_forty_and_alone() -> None:
    new, old = losses(5, rows=4000)
    slices = np.arange(4000) // 100
    new[slices == 17] *= 1.1
    judged = judged_slices(slice_regressions(new, old, slices, [np.arange(4000)], 0.03), 0.03, 0.95)
    assert judged.index[judged["worse"]].tolist() == [17]


@pytest.mark.parametrize(("rise", "worse"), [(0.0, False), (0.5, True)])
def test_losses_that_do_not_vary_are_judged_by_their_size(rise: float, worse: bool) -> None:
    old = np.ones(20)
    judged = judged_slices(
        slice_regressions(old * (1 + rise), old, np.zeros(20, dtype=int), [np.arange(20)], 0.03), 0.03, 0.95
    )
    assert judged["worse"].tolist() == [worse]


def test_a_perfect_champion_is_beaten_by_nobody_and_an_equal_one_is_no_regression() -> None:
    zero, some = np.zeros(20), np.linspace(0.5, 1, 20)
    slices, rows = np.zeros(20, dtype=int), np.arange(20)
    assert slice_regressions(zero, zero, slices, [rows], 0.03)["p_value"].tolist() == [1.0]
    worse = judged_slices(slice_regressions(some, zero, slices, [rows], 0.03), 0.03, 0.95)
    assert worse["worse"].tolist() == [True]
    assert worse["regression"].tolist() == [np.inf]


def test_a_slice_of_one_row_has_no_p_value_and_no_verdict() -> None:
    judged = judged_slices(
        slice_regressions(np.array([9.0]), np.array([1.0]), np.zeros(1, dtype=int), [np.zeros(1, dtype=int)], 0.03),
        0.03,
        0.95,
    )
    assert judged["p_value"].isna().all()
    assert not judged["worse"].any()


def test_rows_outside_of_every_slice_and_empty_tables_are_left_out() -> None:
    new, old = losses(7)
    table = slice_regressions(new, old, np.where(ROWS < 100, 0, -1), [ROWS], 0.03)
    pd.testing.assert_frame_equal(
        table, slice_regressions(new[:100], old[:100], np.zeros(100, dtype=int), [ROWS[:100]], 0.03)
    )
    empty = np.zeros(0, dtype=int)
    assert len(judged_slices(slice_regressions(empty * 1.0, empty * 1.0, empty, [empty], 0.0), 0.0, 0.95)) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=60))
def test_blocks_stay_inside_groups_and_follow_time(rows: list[tuple[int, int]]) -> None:
    groups, times = (np.array([row[i] for row in rows], dtype=int) for i in (0, 1))
    blocks = time_blocks(groups, times)
    for block in np.unique(blocks):
        inside = blocks == block
        assert len(np.unique(groups[inside])) == 1
        size = round((groups == groups[inside][0]).sum() ** (1 / 3))
        assert inside.sum() <= max(1, size)
    for group in np.unique(groups):
        ordered = blocks[groups == group][np.argsort(times[groups == group], kind="stable")]
        assert (np.diff(ordered) >= 0).all()
