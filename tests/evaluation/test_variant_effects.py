"""Effects of variants agree with SciPy's tests, and their intervals hold the truth as often as they say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metamodel.evaluation.variant_effects import UNSOUND, effects_apart, effects_paired, sample_ratio_p


def apart(zero: list[np.ndarray], one: list[np.ndarray]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"slice": i, "challenger": is_challenger, "mean": values})
        for samples, is_challenger in ((zero, False), (one, True))
        for i, values in enumerate(samples)
    ]
    return effects_apart(pd.concat(parts), len(zero))


def test_units_apart_are_found_where_welch_and_the_deal_find_them() -> None:
    rng = np.random.default_rng(0)
    zero = [rng.normal(10, 1, 50), rng.normal(10, 1, 4)]
    one = [rng.normal(10.5, 3, 30), rng.normal(9, 1, 9)]
    found = apart(zero, one)
    welch = [stats.ttest_ind(a, b, equal_var=False).pvalue for a, b in zip(zero, one, strict=True)]
    deal = stats.permutation_test((one[1], zero[1]), lambda a, b: a.mean() - b.mean(), n_resamples=1000).pvalue
    assert found["p_value"].iloc[0] == pytest.approx(welch[0])
    assert found["p_value"].iloc[1] == pytest.approx(max(deal, welch[1]), rel=0.05)
    assert found["p_value"].iloc[1] > welch[1] * 1.01
    np.testing.assert_allclose(found["lift"], [b.mean() / a.mean() - 1 for a, b in zip(zero, one, strict=True)])


def paired_sums(zero: np.ndarray, one: np.ndarray, clusters: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"rows": 1.0, "champion": zero, "challenger": one, "champion_squares": zero**2})
    frame = frame.assign(challenger_squares=one**2, products=zero * one)
    return frame.groupby(clusters).sum().reset_index(drop=True).assign(slice=0)


def test_rows_of_one_group_are_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    zero = rng.normal(10, 2, 40)
    one = zero + rng.normal(0.2, 0.5, 40)
    found = effects_paired(paired_sums(zero, one, np.zeros(40)), 1)
    assert found["p_value"].iloc[0] == pytest.approx(stats.ttest_rel(zero, one).pvalue, rel=1e-6)


def test_differences_that_groups_share_are_no_evidence_of_many_rows() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(10), 200)
    zero = rng.normal(10, 1, 2000)
    one = zero + rng.normal(0, 1, 10)[clusters]
    by_rows = stats.ttest_rel(zero, one).pvalue
    found = effects_paired(paired_sums(zero, one, clusters), 1)
    assert by_rows < 1e-6
    assert found["p_value"].iloc[0] > 0.01


def test_models_that_say_the_same_do_not_differ() -> None:
    rng = np.random.default_rng(3)
    zero = rng.normal(10, 1, 50)
    found = effects_paired(paired_sums(zero, zero.copy(), np.arange(50) // 5), 1)
    assert found[["lift", "p_value"]].values.tolist() == [[0.0, 1.0]]


def test_one_unit_says_nothing() -> None:
    found = apart([np.array([1.0])], [np.array([2.0, 3.0])])
    assert np.isnan(found["p_value"].iloc[0])
    assert (found["lower"].iloc[0], found["upper"].iloc[0]) == (-np.inf, np.inf)


def test_intervals_of_a_lift_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    zero = [rng.lognormal(2, 0.5, 400) for _ in range(1000)]
    one = [rng.lognormal(2, 0.5, 100) * 1.1 for _ in range(1000)]
    found = apart(zero, one)
    inside = ((found["lower"] <= 0.1) & (found["upper"] >= 0.1)).mean()
    assert 0.93 < inside < 0.97


def test_a_hash_that_is_broken_is_found_by_the_ratio_of_units() -> None:
    rng = np.random.default_rng(5)
    sound = [sample_ratio_p([(10_000 - k, k, 0.1)]) for k in rng.binomial(10_000, 0.1, 1000)]
    assert np.mean(np.array(sound) < UNSOUND) < 0.005
    assert stats.kstest(sound, "uniform").statistic < 0.06
    assert sample_ratio_p([(8_800, 1_200, 0.1)]) < UNSOUND
    assert sample_ratio_p([(9_000, 0, 0.1)]) < UNSOUND


def test_parts_with_their_own_fractions_are_judged_together() -> None:
    assert sample_ratio_p([(9_000, 1_000, 0.1), (5_000, 5_000, 0.5)]) == pytest.approx(1.0)
    assert sample_ratio_p([(9_000, 1_000, 0.1), (4_000, 6_000, 0.5)]) < UNSOUND
    assert sample_ratio_p([(100, 1, 0.0)]) == 0.0
    assert sample_ratio_p([]) == 1.0
