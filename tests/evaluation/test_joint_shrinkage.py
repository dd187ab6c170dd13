"""Gains of many groups and their scatter say together what a group's few rows are worth."""

import numpy as np
import pytest

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.joint_shrinkage import joint_means
from metamodel.evaluation.pooled_selection import expected_gains

GROUPS = 2000


def drawn(true: AnyArray, sd: AnyArray, rows: int, seed: int = 0) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Draw each group's rows; returns their means, their variances, and how many they are."""
    values = np.random.default_rng(seed).normal(true[:, None], sd[:, None], size=(len(true), rows))
    return values.mean(axis=1), values.var(axis=1), np.full(len(true), rows)


def test_gains_of_one_normal_kind_are_drawn_together_as_the_theory_says() -> None:
    true = np.random.default_rng(1).normal(0.2, 0.5, GROUPS)
    gains, variances, rows = drawn(true, np.ones(GROUPS), 12)
    means, _ = joint_means(gains, variances, rows)
    by_theory = 0.2 + 0.25 / (0.25 + 1 / 12) * (gains - 0.2)
    assert np.abs(means - by_theory).mean() < 0.05
    assert np.square(means - true).mean() < 1.05 * np.square(by_theory - true).mean()


def test_a_changed_group_whose_few_rows_speak_against_it_is_known_by_their_scatter() -> None:
    changed = np.arange(GROUPS) < GROUPS // 20
    true, sd = np.where(changed, 0.8, -0.01), np.where(changed, 1.0, 0.1)
    gains, variances, rows = drawn(true, sd, 4)
    against = changed & (gains < 0)
    assert against.sum() >= 3
    assert (expected_gains(gains, np.sqrt(variances / 4), rows)[against] > 0).mean() > 0.5
    alike = expected_gains(gains, np.full(GROUPS, np.sqrt(variances.mean() / 4)), rows)
    assert (alike[against] > 0).mean() < 0.5


def test_a_variance_is_told_from_few_rows_by_those_of_all_groups() -> None:
    sd = np.where(np.arange(GROUPS) % 2, 1.0, 0.1)
    _, found = joint_means(*drawn(np.zeros(GROUPS), sd, 4))
    assert np.median(found[sd == 1]) == pytest.approx(1, rel=0.2)
    assert np.median(found[sd < 1]) == pytest.approx(0.01, rel=0.2)


def test_neither_the_order_of_groups_nor_their_unit_matters() -> None:
    gains, variances, rows = drawn(np.linspace(-1, 1, GROUPS), np.ones(GROUPS), 6)
    means, found = joint_means(gains, variances, rows)
    order = np.random.default_rng(2).permutation(GROUPS)
    np.testing.assert_allclose(joint_means(gains[order], variances[order], rows)[0], means[order], rtol=1e-9)
    scaled = joint_means(1000 * gains, 1e6 * variances, rows)
    np.testing.assert_allclose(scaled[0], 1000 * means, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaled[1], 1e6 * found, rtol=1e-6)


def test_groups_of_one_row_have_a_mean_though_their_scatter_is_not_known() -> None:
    gains, variances, rows = drawn(np.full(GROUPS, 0.3), np.ones(GROUPS), 6)
    rows = np.where(np.arange(GROUPS) < 5, 1, rows)
    means, _ = joint_means(gains, np.where(rows == 1, 0.0, variances), rows)
    assert np.isfinite(means).all()
    assert np.abs(means[:5] - 0.3).max() < 0.3


def test_a_group_unlike_all_others_is_moved_by_three_of_its_own_standard_errors_at_most() -> None:
    gains, variances, rows = drawn(np.zeros(GROUPS), np.ones(GROUPS), 50)
    gains[7] = 40.0
    expected = expected_gains(gains, np.sqrt(variances / 50), rows)
    assert expected[7] > 35


def test_where_nothing_scatters_every_group_has_its_own_gain() -> None:
    gains = np.linspace(-1, 1, 100)
    np.testing.assert_array_equal(expected_gains(gains, np.zeros(100), np.full(100, 4)), gains)
