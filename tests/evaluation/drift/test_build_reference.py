import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metamodel.evaluation.drift.bins import BINS, MISSING, OTHER, UNSEEN
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns, functions_of_time
from metamodel.evaluation.drift.drift_reference import DriftReference

pytestmark = pytest.mark.tableless

FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)


def _table(seed: int, rows: int = 600, n_groups: int = 7) -> tuple[DriftColumns, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    zeros = np.where(rng.random(rows) < 0.7, 0.0, rng.lognormal(size=rows))
    columns = {
        "price": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
        "sold": zeros,
        "shop": pd.Series(rng.choice(list("abcdefghijklmn"), rows), dtype=object).mask(rng.random(rows) < 0.1),
    }
    return DriftColumns.of(columns), rng.integers(-1, n_groups, rows), rng.integers(0, 50, rows)


@given(arrays.arrays(np.float64, st.integers(1, 80), elements=FLOATS), st.integers(1, 5))
def test_at_most_a_tenth_of_the_rows_lies_in_each_tail_whatever_the_ties(values: np.ndarray, n_groups: int) -> None:
    groups = np.arange(len(values)) % n_groups

    reference = build_reference(DriftColumns({"x": values}), groups, n_groups)

    there = np.bincount(groups[~np.isnan(values)], minlength=n_groups)
    counts = reference.counts[:, 0].astype(int)
    assert (counts[:, :BINS].sum(axis=1) == there).all()
    assert (counts[:, MISSING] == np.bincount(groups, minlength=n_groups) - there).all()
    assert (counts[:, [0, BINS - 1]] <= there[:, None] // 10).all()


@given(st.integers(0, 50))
def test_counting_the_training_rows_gives_the_reference_counts(seed: int) -> None:
    columns, groups, times = _table(seed)

    reference = build_reference(columns, groups, 7, times)

    assert (count_rows(reference, columns, groups) == reference.counts).all()


@given(st.integers(0, 50), st.integers(1, 599))
def test_counts_of_parts_add_up_to_the_counts_of_all_rows(seed: int, cut: int) -> None:
    columns, groups, _ = _table(seed)
    reference = build_reference(columns, groups, 7)
    window, of_row, _ = _table(seed + 1)

    parts = [slice(0, cut), slice(cut, None)]
    first, second = (count_rows(reference, window.take(part), of_row[part]) for part in parts)

    assert (first + second == count_rows(reference, window, of_row)).all()


@given(st.integers(0, 50))
def test_a_group_has_the_same_reference_alone_as_among_others(seed: int) -> None:
    columns, groups, times = _table(seed)
    together = build_reference(columns, groups, 7, times)

    parts = []
    for group in range(7):
        rows = np.flatnonzero(groups == group)
        parts.append(build_reference(columns.take(rows), np.zeros(len(rows), dtype=int), 1, times[rows]))
    apart = DriftReference.concat(parts)

    for name, array in together.to_arrays().items():
        np.testing.assert_array_equal(array, apart.to_arrays()[name], err_msg=name)
    assert apart.vocabulary == together.vocabulary


def test_the_order_of_rows_does_not_matter() -> None:
    columns, groups, _ = _table(3)
    times = np.random.default_rng(0).permutation(len(groups))
    order = np.random.default_rng(1).permutation(len(groups))

    first = build_reference(columns, groups, 7, times).to_arrays()
    second = build_reference(columns.take(order), groups[order], 7, times[order]).to_arrays()

    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_reference_survives_storing_and_gathering() -> None:
    columns, groups, times = _table(5)
    reference = build_reference(columns, groups, 7, times)

    stored = DriftReference.from_arrays(reference.to_meta(), reference.to_arrays())
    some = stored.take(np.array([4, 1]))

    assert (some.counts == reference.counts[[4, 1]]).all()
    assert stored.vocabulary == reference.vocabulary
    assert stored.to_meta() == reference.to_meta()


def test_columns_of_other_rows_stand_beside() -> None:
    columns, groups, times = _table(6)
    held = DriftColumns.of({"(error)": np.arange(20.0)})

    whole = build_reference(columns, groups, 7, times).beside(build_reference(held, np.zeros(20, dtype=int), 7))

    assert whole.columns == ("price", "sold", "shop", "(error)")
    assert whole.place.tolist() == [0, 1, 0, 2]
    assert whole.counts[0, 3].sum() == 20
    assert count_rows(whole, held, np.zeros(20, dtype=int))[0, 3].tolist() == whole.counts[0, 3].tolist()


def test_a_zero_inflated_column_keeps_its_positive_rows_apart() -> None:
    values = np.r_[np.zeros(95), 1.0, 2.0, 3.0, 4.0, 5.0]

    counts = build_reference(DriftColumns({"x": values}), np.zeros(100, dtype=int), 1).counts[0, 0]

    assert counts[BINS - 1] == 5
    assert counts[0] == 0


def test_rare_unseen_and_missing_categories_have_slots_of_their_own() -> None:
    seen = pd.Series([chr(97 + i // 2) for i in range(22)], dtype=object)
    reference = build_reference(DriftColumns.of({"x": seen}), np.zeros(22, dtype=int), 1)

    window = DriftColumns.of({"x": pd.Series(["new", None, *"abcdefghijk"], dtype=object)})
    counts = count_rows(reference, window, np.zeros(13, dtype=int))[0, 0]

    assert counts[:OTHER].tolist() == [1] * 9
    assert counts[[OTHER, UNSEEN, MISSING]].tolist() == [2, 1, 1]


def test_too_many_categories_have_no_vocabulary() -> None:
    many = DriftColumns.of({"x": pd.Series(np.arange(10_001).astype(str), dtype=object)})

    reference = build_reference(many, np.zeros(10_001, dtype=int), 1)

    assert reference.vocabulary == {"x": None}
    strange = count_rows(reference, DriftColumns.of({"x": pd.Series(["never"], dtype=object)}), np.zeros(1, dtype=int))
    assert strange[0, 0, OTHER] == 1


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.0, 0.9, 1.1), (0.6, 2.0, 4.5)])
def test_replaying_finds_how_much_rows_depend_on_one_another(correlation: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 104))
    for week in range(1, 104):
        values[:, week] = correlation * values[:, week - 1] + np.sqrt(1 - correlation**2) * values[:, week]
    groups, times = np.repeat(np.arange(500), 104), np.tile(np.arange(104), 500)

    replays = build_reference(DriftColumns({"x": values.ravel()}), groups, 500, times).replays

    factors = replays[:, 0, :, 0].astype(float).mean(axis=0)
    assert ((factors > low) & (factors < high)).all()


def test_without_times_nothing_is_replayed() -> None:
    columns, groups, _ = _table(1)
    assert np.isnan(build_reference(columns, groups, 7).replays).all()


def test_a_column_that_varies_within_a_moment_is_no_function_of_time() -> None:
    times = np.array([1, 1, 2, 2])
    columns = DriftColumns.of({"week": [1, 1, 2, 2], "price": [1, 2, 3, 3], "rate": [1, 1, 1, 1], "gap": [None] * 4})
    assert functions_of_time(columns, times) == {"week"}


def test_timestamps_are_days_and_null_ones_missing() -> None:
    columns = DriftColumns.of({"day": pd.Series(["1970-01-02", None], dtype="datetime64[ns]").dt.tz_localize("UTC")})
    assert columns.values["day"][0] == 1.0
    assert np.isnan(columns.values["day"][1])
