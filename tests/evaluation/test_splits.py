"""Holdouts: stable, without leaks, and never empty on either side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.splits import (
    copies,
    hash_folds,
    hash_holdout,
    identities,
    rolling_folds,
    split_hashes,
    time_holdout,
    time_order,
)
from metamodel.exceptions import InputError
from metamodel.tables.row_hashes import row_hashes

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", None]), st.floats(-2, 2)), min_size=2, max_size=40
)
FRACTIONS = st.floats(0.01, 0.99)


def table(rows):
    return pd.DataFrame(rows, columns=["i", "text", "x"]).astype({"i": "int64", "text": object, "x": "float64"})


def held_content(frame, fraction, seed=0):
    held = hash_holdout(row_hashes(frame, list(frame), seed), fraction)
    return None if held is None else sorted(map(repr, frame[held].itertuples(index=False)))


@given(ROWS, FRACTIONS, st.randoms())
def test_row_order_does_not_move_a_row_to_the_other_side(rows, fraction, random):
    shuffled = random.sample(rows, len(rows))
    assert held_content(table(rows), fraction) == held_content(table(shuffled), fraction)


def test_added_rows_do_not_move_the_others():
    frame = pd.DataFrame({"x": np.arange(1000.0)})
    before = hash_holdout(row_hashes(frame.iloc[:500], ["x"], 0), 0.3)
    after = hash_holdout(row_hashes(frame, ["x"], 0), 0.3)
    assert after[:500].tolist() == before.tolist()


@given(ROWS, FRACTIONS)
def test_duplicates_are_on_one_side(rows, fraction):
    frame = table(rows * 2)
    held = hash_holdout(row_hashes(frame, list(frame), 0), fraction)
    assert held is None or held[: len(rows)].tolist() == held[len(rows) :].tolist()


@given(ROWS, FRACTIONS)
def test_neither_side_is_empty(rows, fraction):
    held = hash_holdout(row_hashes(table(rows), ["i", "text", "x"], 0), fraction)
    assert held is None or 0 < held.sum() < len(rows)


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_that_are_all_equal_cannot_be_split(rows):
    frame = pd.DataFrame({"x": [1.0] * rows})
    assert hash_holdout(row_hashes(frame, ["x"], 0), 0.5) is None


def test_no_rows_cannot_be_split():
    assert hash_holdout(np.array([], dtype=np.uint64), 0.5) is None


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.9])
def test_the_share_held_back_is_the_one_asked_for(fraction):
    frame = pd.DataFrame({"x": np.arange(20_000)})
    assert hash_holdout(row_hashes(frame, ["x"], 0), fraction).mean() == pytest.approx(fraction, abs=0.015)


def test_the_seed_changes_the_split():
    frame = pd.DataFrame({"x": np.arange(100)})
    assert held_content(frame, 0.5, seed=0) != held_content(frame, 0.5, seed=1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), FRACTIONS)
def test_every_training_row_is_strictly_older_than_every_row_held_back(times, fraction):
    values = np.array(times)
    held = time_holdout(values, fraction)
    if held is None:
        assert len(set(times)) == 1
    else:
        assert values[~held].max() < values[held].min()


@pytest.mark.parametrize(("fraction", "held"), [(0.2, 2), (0.5, 5), (0.05, 1), (0.95, 9)])
def test_the_latest_rows_are_held_back(fraction, held):
    expected = [False] * (10 - held) + [True] * held
    assert time_holdout(np.arange(10), fraction).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-02", "2025-12-31"],
        pd.to_datetime(["2026-01-02", "2025-12-31"]),
        pd.to_datetime(["2026-01-02", "2025-12-31"]).tz_localize("Asia/Tokyo"),
        pd.to_datetime(["2026-01-02", "2025-12-31"]).date,
        pd.array(["2026-01-02", "2025-12-31"], dtype="timestamp[s][pyarrow]"),
        pd.array(pd.to_datetime(["2026-01-02", "2025-12-31"]).date, dtype="date32[pyarrow]"),
        pd.array(pd.to_datetime(["2026-01-02", "2025-12-31"]).date, dtype="date64[pyarrow]"),
        [2026.5, 2025.9],
        pd.array([202601, 202512], dtype="Int64"),
    ],
)
def test_times_of_every_form_are_ordered(values):
    order = time_order(pd.Series(values), "week")
    assert order[0] > order[1]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["2026-01-01", "soon"], "'soon'"),
        (["soon", "later"], "'soon'"),
        ([1.0, np.nan], "nan"),
        ([True, False], "True"),
        ([*["2026-01-01", "2026-01-02"] * 50, ["2026-01-03"]], r"\['2026-01-03'\]"),
        (pd.to_datetime(["2026-01-01", None]), "NaT"),
    ],
)
def test_a_value_that_is_no_time_is_shown(values, first):
    with pytest.raises(
        InputError, match=rf"'week' has \d values? missing or no time \(first: {first}\). Correct or remove"
    ):
        time_order(pd.Series(values), "week")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_times_are_the_microseconds_of_the_world_in_every_unit_and_zone(unit, zone):
    values = pd.Series(pd.to_datetime(["2026-01-02 03:00", "1999-12-31 00:00"]).tz_localize(zone).as_unit(unit))
    expected = [
        pd.Timestamp(value).tz_localize(zone).timestamp() * 1e6 for value in ("2026-01-02 03:00", "1999-12-31 00:00")
    ]
    assert time_order(values, "t").tolist() == expected


def test_times_with_and_without_fractions_of_a_second_are_times():
    times = time_order(pd.Series(["2026-01-01T10:00:00.500", "2026-01-01T10:00:00"]), "t")
    assert times[0] > times[1]


HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=0, max_size=40).map(lambda h: np.array(h, dtype=np.uint64))


@given(HASHES, st.integers(2, 10))
def test_k_folds_test_every_row_once_and_train_on_all_others(hashes, k):
    folds = hash_folds(hashes, k)
    if not folds:
        assert len(np.unique(hashes)) < 2
        return
    assert 2 <= len(folds) <= k
    assert np.sum([test for _, test in folds], axis=0).tolist() == [1] * len(hashes)
    assert all((train == ~test).all() and test.any() and train.any() for train, test in folds)


@given(HASHES, st.integers(2, 10))
def test_equal_rows_are_in_one_fold(hashes, k):
    for _, test in hash_folds(np.concatenate([hashes, hashes]), k):
        assert test[: len(hashes)].tolist() == test[len(hashes) :].tolist()


def test_added_rows_do_not_move_the_others_to_another_fold():
    frame = pd.DataFrame({"x": np.arange(1000.0)})
    before = hash_folds(row_hashes(frame.iloc[:500], ["x"], 0), 5)
    after = hash_folds(row_hashes(frame, ["x"], 0), 5)
    assert [test[:500].tolist() for _, test in after] == [test.tolist() for _, test in before]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_a_backtest_trains_on_all_that_is_older_and_tests_whole_time_steps(times, folds, horizon, step):
    times = np.array(times)
    steps = np.unique(times)
    found = rolling_folds(times, folds, horizon, step)
    assert len(found) == sum(len(steps) - horizon - i * step > 0 for i in range(folds))
    for train, test in found:
        assert times[train].max() < times[test].min()
        assert train.sum() == (times < times[test].min()).sum()
        assert len(np.unique(times[test])) == horizon
    if found:
        assert times[found[-1][1]].max() == steps[-1]


def test_the_origins_of_a_backtest_lie_a_step_apart_and_the_earliest_comes_first():
    found = rolling_folds(np.arange(10), folds=3, horizon=2, step=3)
    assert [np.flatnonzero(test).tolist() for _, test in found] == [[2, 3], [5, 6], [8, 9]]


def test_rows_that_differ_in_their_weight_alone_are_no_copies():
    hashes = np.array([5, 5, 5], dtype=np.uint64)
    assert copies(hashes, np.array([1.0, 2.0, 1.0])).tolist() == [False, False, True]


def test_equal_rows_of_two_children_are_no_copies_in_their_parent():
    hashes = identities(np.array([5, 5, 5, 6], dtype=np.uint64), np.array([1, 2, 1, 1]))
    assert copies(hashes).tolist() == [False, False, True, False]


WEIGHTED_ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([1.0, 2.0])), max_size=60)


def spread(rows):
    frame = pd.DataFrame(rows, columns=["x", "y", "w"]).astype({"x": "int64", "y": "bool", "w": "float64"})
    return split_hashes(row_hashes(frame, ["x", "y"], 0), frame["w"].to_numpy())


@given(WEIGHTED_ROWS, st.randoms())
def test_which_of_equal_rows_is_held_back_does_not_depend_on_their_order(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert sorted(zip(spread(rows), rows, strict=True)) == sorted(zip(spread(shuffled), shuffled, strict=True))


@given(WEIGHTED_ROWS)
def test_no_two_observations_share_the_draw_that_holds_them_back(rows):
    assert len(set(spread(rows).tolist())) == len(rows)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40), st.data())
def test_added_rows_move_no_observation_to_the_other_side(rows, data):
    added = data.draw(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=10))
    before = spread([(*row, 1.0) for row in rows]).tolist()
    after = spread([(*row, 1.0) for row in [*rows, *added]]).tolist()
    assert after[: len(rows)] == before


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_of_many_equal_rows_the_share_asked_for_is_held_back_whatever_their_target(fraction):
    late = np.repeat([True, False], [6000, 14000])
    frame = pd.DataFrame({"month": 1, "hour": 8, "late": late})
    held = hash_holdout(split_hashes(row_hashes(frame, list(frame), 0)), fraction)
    for rows in (late, ~late):
        assert abs(held[rows].mean() - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / rows.sum())


def test_equal_rows_of_different_groups_are_held_back_independently():
    same = identities(np.full(2000, 7, dtype=np.uint64), np.arange(2000))
    assert 0.15 < hash_holdout(split_hashes(same), 0.2).mean() < 0.25


@pytest.mark.parametrize("k", [2, 5])
def test_equal_observations_are_spread_over_all_folds(k):
    shares = [test.mean() for _, test in hash_folds(split_hashes(np.full(5000, 3, dtype=np.uint64)), k)]
    assert len(shares) == k
    assert max(shares) - min(shares) < 0.05
