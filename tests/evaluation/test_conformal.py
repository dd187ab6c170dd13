"""Split-conformal radii: those of a plain loop, within the theory's bounds, and borrowed where rows are few."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from held_out_rows import by_level, holdout
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.conformal import calibrate, fewest_rows
from metamodel.evaluation.holdout import child_ids
from metamodel.tables.keys import encode_key

LEVELS = [0.5, 0.8, 0.9, 0.95]
KEYS = [("FR", 1), ("FR", 2), ("FR", 3), ("DE", 1), ("DE", 2)]
PARENTS = [("FR",), ("DE",), ()]
levels = st.sampled_from(LEVELS)


sizes = st.fixed_dictionaries(dict.fromkeys(KEYS, st.integers(0, 30)))


def by_hand(table, key, level):
    """Radius, rows and level of one model, by the definition."""
    column = {2: "predicted", 1: "predicted_by_level_1", 0: "predicted_by_global"}[len(key)]
    residuals = (table[column] - table["actual"]).abs()
    for shared in range(len(key), -1, -1):
        same = [encode_key(other) for other in KEYS if other[:shared] == key[:shared]]
        found = sorted(residuals[table["key"].isin(same)])
        rank = math.ceil(round((len(found) + 1) * level, 9))
        if rank < len(found):
            return found[rank - 1], len(found), shared
    return math.nan, 0, None


@given(sizes, levels, st.integers(0, 99))
def test_radii_are_those_of_the_definition(sizes, level, seed):
    table = holdout(sizes, seed=seed)
    found = calibrate(by_level(table), [*KEYS, *PARENTS], level)
    assert list(found.index) == [encode_key(key) for key in [*KEYS, *PARENTS]]
    for key in [*KEYS, *PARENTS]:
        radius, rows, shared = by_hand(table, key, level)
        row = encode_key(key)
        np.testing.assert_equal(found.at[row, "interval_radius"], radius)
        assert found.at[row, "interval_rows"] == rows
        assert found["interval_level"].astype(object).at[row] is (pd.NA if shared is None else shared)


@given(sizes, st.integers(0, 99))
def test_a_higher_level_never_has_a_narrower_interval_of_the_same_rows(sizes, seed):
    table = holdout(sizes, seed=seed)
    found = [calibrate(by_level(table), KEYS, level) for level in LEVELS]
    for lower, higher in itertools.pairwise(found):
        same = (lower["interval_level"] == higher["interval_level"]).fillna(False).to_numpy(dtype=bool)
        assert (lower["interval_radius"] <= higher["interval_radius"])[same].all()


@pytest.mark.parametrize("level", LEVELS)
def test_fewest_rows_leave_one_residual_outside(level):
    rows = fewest_rows(level)
    rank = [math.ceil(round((n + 1) * level, 9)) for n in (rows, rows - 1)]
    assert rank[0] < rows
    assert rank[1] >= rows - 1


@given(st.floats(0.001, 0.999))
def test_fewest_rows_are_those_of_a_plain_count(level):
    counted = itertools.count(1)
    assert fewest_rows(level) == next(n for n in counted if math.ceil(np.round((n + 1) * level, 9)) < n)


def test_a_level_close_to_one_is_no_endless_count():
    assert fewest_rows(1 - 1e-7) == pytest.approx(2e7, abs=2)


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("rows", [19, 24, 40])
def test_fresh_rows_are_covered_as_the_theory_says(level, rows):
    """Each group is one draw of exchangeable rows; the mean over 4,000 of them lies in [level, level + 1 / (n + 1)]."""
    groups = 4000
    rng = np.random.default_rng(rows)
    residuals = rng.exponential(size=(groups, rows + 1)) * rng.exponential(size=(groups, 1))
    keys = [(i,) for i in range(groups)]
    table = pd.DataFrame(
        {
            "key": pd.Categorical([encode_key(key) for key in keys for _ in range(rows)]),
            "row": rng.integers(0, 2**64, groups * rows, dtype=np.uint64),
            "actual": 0.0,
            "predicted": residuals[:, :rows].ravel(),
        }
    )
    found = calibrate({1: table}, keys, level)
    assert (found["interval_level"] == 1).all()
    covered = (residuals[:, rows] <= found["interval_radius"].to_numpy()).mean()
    error = 4 * math.sqrt(level * (1 - level) / groups)
    assert level - error <= covered <= level + 1 / (rows + 1) + error
    reached = np.average(found["coverage"], weights=found["coverage_rows"])
    assert level - error <= reached <= level + 1 / (rows / 2 + 1) + error


def test_rows_of_a_time_are_counted_by_a_radius_from_earlier_ones():
    steady, drifting = (
        calibrate(by_level(holdout({("FR", 1): 400}, drift=drift, time=True)), [("FR", 1)], 0.9).iloc[0]
        for drift in (0, 0.01)
    )
    assert steady["coverage_rows"] == drifting["coverage_rows"] == 200
    assert abs(steady["coverage"] - 0.9) < 0.08
    assert drifting["coverage"] < 0.4


def test_rows_of_one_time_stay_on_one_side():
    table = holdout({("FR", 1): 40}, time=True).assign(time=7)
    found = calibrate(by_level(table), [("FR", 1)], 0.9).iloc[0]
    assert found["coverage_rows"] == 0
    assert pd.isna(found["coverage"])
    assert found["interval_rows"] == 40


def test_who_borrows_has_the_errors_of_children_and_not_of_the_parent():
    found = calibrate(by_level(holdout({("FR", 1): 200, ("FR", 2): 5, ("DE", 1): 200})), [*KEYS, *PARENTS], 0.9)
    borrowed, parents = found.loc[encode_key(("FR", 2))], found.loc[encode_key(("FR",))]
    assert (borrowed["interval_level"], borrowed["interval_rows"]) == (1, 205)
    assert parents["interval_rows"] == 205
    assert borrowed["interval_radius"] < 2.5 < 4 < parents["interval_radius"]
    # A group without a single held-out row borrows too.
    assert found.loc[encode_key(("FR", 3)), "interval_radius"] == borrowed["interval_radius"]


def test_no_parent_model_is_needed_to_borrow():
    table = holdout({("FR", 1): 30, ("DE", 1): 3})[["key", "row", "actual", "predicted"]]
    found = calibrate(by_level(table), [("FR", 1), ("DE", 1)], 0.9)
    assert found["interval_level"].tolist() == [2, 0]
    assert found["interval_rows"].tolist() == [30, 33]


def test_rows_of_groups_without_a_model_do_not_count():
    table = holdout({("FR", 1): 30, ("FR", 2): 3, ("FR", 3): 500})
    assert calibrate(by_level(table), [("FR", 1), ("FR", 2)], 0.9)["interval_rows"].tolist() == [30, 33]


def test_a_parent_is_calibrated_on_the_rows_of_groups_that_it_answers_for():
    tables = by_level(holdout({("FR", 1): 400, ("FR", 2): 30, ("DE", 1): 400, ("DE", 2): 10}))
    models, without = [("FR", 1), ("DE", 1), *PARENTS], [("FR", 2), ("DE", 2)]
    small = tables[1]["child"].isin(child_ids(without)).to_numpy()
    tables[1].loc[small, "predicted"] += 100
    found = calibrate(tables, models, 0.9, without)
    france, germany, everywhere = (found.loc[encode_key(key)] for key in PARENTS)
    assert france["interval_rows"] == france["coverage_rows"] == france["fallback_rows"] == 30
    assert 90 < france["interval_radius"] < 110
    assert france["coverage"] > 0.8
    # Ten rows are too few, so all set the radius; but it says how many of the ten are covered.
    assert germany["interval_rows"] == germany["coverage_rows"] == 410
    assert (germany["fallback_rows"], germany["fallback_covered"]) == (10, 0)
    assert germany["interval_radius"] < 10
    # The countries answer before the global model does.
    assert (everywhere["interval_rows"], everywhere["fallback_rows"]) == (840, 0)
    assert found.loc[encode_key(("FR", 1)), "fallback_rows"] == 0


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_radius_is_finite_or_none(odd):
    table = holdout({("FR", 1): 30})
    table["predicted"] = odd
    assert math.isnan(calibrate(by_level(table), [("FR", 1)], 0.9)["interval_radius"].iloc[0])
