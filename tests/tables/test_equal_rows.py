"""Equal rows: observations where chance explains them, copies of one observation where it does not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.tables.equal_rows import Agreement, EqualRows, equal_rows

RNG = np.random.default_rng(0)


def measurements(rows=400):
    return pd.DataFrame({"a": RNG.normal(size=rows), "b": RNG.normal(size=rows), "kind": RNG.integers(0, 3, rows)})


def answers(rows=400):
    return pd.DataFrame(
        {"a": RNG.integers(0, 4, rows), "b": RNG.integers(0, 5, rows), "kind": RNG.integers(0, 3, rows)}
    )


def panel(days=200):
    day = pd.date_range("2024-01-01", periods=days)
    return pd.DataFrame({"day": day, "promotion": RNG.integers(0, 2, days), "units": RNG.poisson(3, days)})


def copied(frame, share):
    return pd.concat([frame, frame.sample(frac=share, random_state=0)], ignore_index=True)


def judged(frame, target, groups=None):
    groups = np.zeros(len(frame), dtype=np.int64) if groups is None else groups
    return equal_rows(frame, list(frame), target, groups)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("table", "target"), [(measurements, "kind"), (measurements, "a"), (panel, "units")])
def test_copies_in_a_table_of_measurements_or_with_a_time_are_no_observations(table, target, share):
    frame = table()
    found = judged(copied(frame, share), target)
    assert (found.copies, found.are_observations) == (round(share * len(frame)), False)


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_equal_rows_of_few_values_are_observations(share):
    assert judged(copied(answers(), share), "kind").are_observations


def test_a_rare_label_and_unequal_shares_do_not_make_observations_copies():
    frame = pd.DataFrame({"mobile": RNG.random(4000) < 0.9, "bought": RNG.random(4000) < 0.02})
    assert judged(frame, "bought").are_observations


def test_rounded_targets_of_few_kinds_of_rows_are_observations():
    kind = RNG.integers(0, 5, 2000)
    frame = pd.DataFrame({"kind": kind, "wage": np.round(5 * kind + RNG.normal(size=2000), 0)})
    assert judged(frame, "wage").are_observations


@pytest.mark.parametrize("times", [12, range(1, 25)])
def test_a_file_that_was_read_in_over_and_over_holds_copies(times):
    days = [measurements(50) for _ in range(24)]
    often = [times] * 24 if isinstance(times, int) else times
    frame = pd.concat([day for day, n in zip(days, often, strict=True) for _ in range(n)], ignore_index=True)
    assert not judged(frame, "a").are_observations


def test_one_row_that_was_written_a_thousand_times_is_one_row():
    frame = measurements(50)
    assert not judged(pd.concat([frame, *[frame.iloc[:1]] * 1000], ignore_index=True), "a").are_observations


@pytest.mark.parametrize(("values", "observations"), [(3, True), (10**6, False)])
def test_where_one_column_varies_its_common_values_are_observations(values, observations):
    frame = pd.DataFrame({"x": 1, "y": RNG.integers(0, values, 300)})
    found = judged(copied(frame, 0.1), "y")
    assert (found.copies > 0, found.are_observations) == (True, observations)


def test_columns_that_say_the_same_do_not_make_observations_copies():
    frame = answers().assign(a_again=lambda f: f["a"] * 10, a_name=lambda f: f["a"].map(str))
    assert judged(frame, "kind").are_observations


def test_equal_rows_of_two_groups_are_no_copies():
    frame = pd.DataFrame({"x": [1.5, 1.5], "y": [2.5, 2.5]})
    assert judged(frame, "y", np.array([0, 1])).copies == 0
    assert judged(frame, "y", np.array([0, 0])).copies == 1


def test_rows_without_a_target_do_not_count():
    found = judged(pd.DataFrame({"x": [1.0, 1.0, 2.0], "y": [np.nan, np.nan, 1.0]}), "y")
    assert (found.rows, found.copies) == (1, 0)


def test_nulls_of_every_kind_are_equal():
    frame = pd.DataFrame(
        {"x": [None, np.nan, "a"], "n": pd.array([None, None, 1], dtype="Int64"), "y": [1.0, 1.0, 2.0]}
    )
    assert judged(frame, "y").copies == 1


ROWS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 1)), max_size=40)


@given(ROWS, st.randoms())
def test_neither_counts_nor_judgement_depend_on_the_order_of_the_rows(rows, random):
    def found(rows):
        frame = pd.DataFrame(rows, columns=["x", "t", "y", "g"]).astype({"x": int, "t": object, "y": int, "g": int})
        return equal_rows(frame, ["x", "t", "y"], "y", frame["g"].to_numpy())

    assert found(random.sample(rows, len(rows))) == found(rows)


@given(ROWS)
def test_pairs_are_counted_as_by_hand(rows):
    frame = pd.DataFrame(rows, columns=["x", "t", "y", "g"]).astype({"x": int, "t": object, "y": int, "g": int})
    found = equal_rows(frame, ["x", "t", "y"], "y", frame["g"].to_numpy())
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i] if a[3] == b[3]]

    def agreement(i):
        rest = [a[:i] + a[i + 1 : 3] == b[:i] + b[i + 1 : 3] for a, b in pairs]
        own = [a[i] == b[i] for a, b in pairs]
        both = sum(one and other for one, other in zip(rest, own, strict=True))
        return Agreement("xty"[i], both, sum(rest), sum(own), len(pairs))

    equal = sum(a == b for a, b in pairs)
    assert found == EqualRows.judged(len(rows), len(set(rows)), equal, map(agreement, (2, 0, 1)))
