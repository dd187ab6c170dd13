"""The randomisation test: its moments are those of all deals, and few units of one variant are no finding."""

import itertools

import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.dealt_units import randomised
from metamodel.evaluation.variant_effects import effects_apart


def _all_deals(means: np.ndarray, challengers: int) -> np.ndarray:
    """The difference of means of every deal."""
    differences = []
    for chosen in itertools.combinations(range(len(means)), challengers):
        mask = np.isin(np.arange(len(means)), chosen)
        differences.append(means[mask].mean() - means[~mask].mean())
    return np.array(differences)


@pytest.mark.parametrize("challengers", [2, 4, 5, 8])
def test_the_moments_are_those_of_all_deals(challengers: int) -> None:
    means = np.random.default_rng(challengers).lognormal(0, 1, 10)
    deals = _all_deals(means, challengers)
    dealt = randomised(np.zeros(10, dtype=np.int64), means, (np.array([10 - challengers]), np.array([challengers])))
    assert deals.mean() == pytest.approx(0, abs=1e-12)
    assert dealt.deviation[0] == pytest.approx(deals.std())
    assert dealt.skewness[0] == pytest.approx((deals**3).mean() / deals.std() ** 3, abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_its_tails_are_about_those_of_all_deals(share: float) -> None:
    means = np.random.default_rng(1).lognormal(0, 0.6, 40)
    deals = np.sort(_all_deals(means, 3))
    dealt = randomised(np.zeros(40, dtype=np.int64), means, (np.array([37]), np.array([3])))
    for tail in (share / 2, 1 - share / 2):
        difference = np.quantile(deals, tail)
        assert dealt.p_value(np.array([difference]))[0] == pytest.approx(share, rel=0.35)


def test_each_slice_is_a_deal_of_its_own() -> None:
    rng = np.random.default_rng(2)
    slices, means = rng.integers(0, 3, 300), rng.lognormal(0, 1, 300)
    numbers = np.bincount(slices)
    together = randomised(slices, means, (numbers - 20, np.full(3, 20)))
    for i in range(3):
        alone = randomised(
            np.zeros(numbers[i], dtype=np.int64), means[slices == i], (numbers[i : i + 1] - 20, np.array([20]))
        )
        for name in ("deviation", "skewness", "lower", "upper"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0])


def test_units_that_do_not_vary_say_nothing() -> None:
    dealt = randomised(np.zeros(6, dtype=np.int64), np.ones(6), (np.array([3]), np.array([3])))
    assert np.isnan(dealt.p_value(np.zeros(1))).all()


def test_deals_that_are_too_skewed_for_moments_are_drawn_and_their_p_values_are_those_of_all_deals() -> None:
    means = np.random.default_rng(5).permutation(np.append(np.full(27, 1.0), [2.0, 3.0, 60.0]))
    deals = _all_deals(means, 3)
    slices, numbers = np.zeros(30, dtype=np.int64), (np.array([27]), np.array([3]))
    dealt = randomised(slices, means, numbers)
    assert list(dealt.drawn) == [0]
    for difference in (np.sort(deals)[-200], means[:3].mean() - means[3:].mean(), deals.max()):
        above, below = (deals >= difference - 1e-9).mean(), (deals <= difference + 1e-9).mean()
        exact = min(1.0, 2 * min(above, below))
        assert dealt.p_value(np.array([difference]))[0] == pytest.approx(exact, rel=0.1, abs=1e-3)
    again = randomised(slices, means[::-1], numbers)
    np.testing.assert_array_equal(again.drawn[0], dealt.drawn[0])  # whatever the order of the rows
    turned = randomised(slices, means, numbers[::-1])
    np.testing.assert_allclose(np.sort(-turned.drawn[0]), dealt.drawn[0])


def _ten_challengers(slices: int, units: int, spread: float, *, seed: int) -> pd.DataFrame:
    """Give each slice so many units of lognormal outcomes, ten of them the challenger's."""
    return pd.DataFrame(
        {
            "slice": np.repeat(np.arange(slices), units),
            "challenger": np.tile(np.arange(units) < 10, slices),
            "mean": np.random.default_rng(seed).lognormal(3, spread, slices * units),
        }
    )


def test_ten_units_of_a_thousand_with_a_few_very_dear_ones_are_no_finding_and_a_lift_is_in_its_interval() -> None:
    """By three moments 8.7 % of these were called a difference, and 84 % of the intervals held a lift of 30 %."""
    slices, units = 250, 1000
    table = _ten_challengers(slices, units, 1.2, seed=7)
    assert (effects_apart(table, slices)["p_value"] < 0.05).mean() < 0.05
    table.loc[table["challenger"], "mean"] *= 1.3
    effects = effects_apart(table, slices)
    assert ((effects["lower"] <= 0.3) & (effects["upper"] >= 0.3)).mean() > 0.93


def test_a_few_dear_customers_of_a_small_canary_are_no_finding() -> None:
    """Welch's test alone calls 8 % of these a difference, where there is none."""
    slices, units = 4000, 100
    table = _ten_challengers(slices, units, 0.6, seed=3)
    effects = effects_apart(table, slices)
    assert (effects["p_value"] < 0.05).mean() < 0.05
    inside = (effects["lower"] <= 0) & (effects["upper"] >= 0)
    assert inside.mean() > 0.95
    table.loc[table["challenger"], "mean"] *= 2
    assert (effects_apart(table, slices)["p_value"] < 0.05).mean() > 0.5
