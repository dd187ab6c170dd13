"""Hashes of rows depend on a row's own values and the seed alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.tables.row_hashes import column_hashes, row_hashes, value_hashes

MIXED = st.sampled_from([1, "1", 1.0, True, None, (2,), "a"])
NUMBERS = st.floats(-2, 2)
ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.sampled_from(["a", "b", "", None]), NUMBERS, MIXED),
    min_size=1,
    max_size=30,
)


def table(rows):
    frame = pd.DataFrame(rows, columns=["i", "text", "x", "mixed"], dtype=object)
    return frame.astype({"i": "int64", "x": "float64"})


def test_values_of_a_column_of_mixed_objects_are_told_apart():
    frame = pd.DataFrame({"x": pd.Series([1, "a", None, (2,), 1], dtype=object)})
    hashes = row_hashes(frame, ["x"], 0)
    assert (hashes[0] == hashes[4], len(set(hashes))) == (True, 4)


@given(ROWS, st.randoms(use_true_random=False))
def test_neither_other_rows_nor_their_order_nor_the_index_change_a_rows_hash(rows, random):
    frame = table(rows)
    whole = row_hashes(frame, list(frame), 0)
    chosen = random.sample(range(len(rows)), random.randint(1, len(rows)))
    part = frame.iloc[chosen].set_axis(["same"] * len(chosen))
    assert row_hashes(part, list(frame), 0).tolist() == whole[chosen].tolist()


@given(ROWS)
def test_equal_rows_share_a_hash_and_rows_that_differ_in_one_value_do_not(rows):
    frame = table(rows)
    hashes = row_hashes(frame, ["i", "text", "x"], 0)
    assert len(set(hashes.tolist())) == len({row[:3] for row in rows})


def test_only_the_columns_that_count_count():
    frame = pd.DataFrame({"a": [1, 1], "b": [1, 2]})
    assert len(set(row_hashes(frame, ["a"], 0))) == 1
    assert len(set(row_hashes(frame, ["a", "b"], 0))) == 2


def test_another_seed_gives_other_hashes_of_the_same_equalities():
    frame = pd.DataFrame({"a": [1, 2, 1]})
    one, other = (row_hashes(frame, ["a"], seed) for seed in (0, 2**32 - 1))
    assert one[0] == one[2] != one[1]
    assert other[0] == other[2] != other[1]
    assert not set(one) & set(other)


def test_equal_values_and_nulls_of_a_column_share_a_hash():
    frame = pd.DataFrame({"x": [1.5, np.nan, 1.5, np.nan], "t": pd.Series(["a", None, "b", None], dtype=object)})
    hashes = column_hashes(frame, ["t", "x"])
    assert list(hashes) == ["t", "x"]
    assert [hashes["x"][0], hashes["x"][1]] == [hashes["x"][2], hashes["x"][3]]
    assert hashes["t"][1] == hashes["t"][3]
    assert len({*hashes["t"]}) == 3


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", "double[pyarrow]"])
def test_minus_zero_is_zero(dtype):
    frame = pd.DataFrame({"x": pd.Series([0.0, -0.0, 1.0], dtype=dtype)})
    first, second, other = row_hashes(frame, ["x"], 0)
    assert first == second != other
    assert column_hashes(frame, ["x"])["x"][0] == column_hashes(frame, ["x"])["x"][1]


# --- content hashes, which are kept from one training to the next


def test_value_hashes_are_the_same_numbers_in_every_process_and_release():
    moments = pd.to_datetime(pd.Series(["2026-01-05 12:00", None]))
    columns = [np.array([0.5, np.nan]), pd.Series(["é", None], dtype=object), moments, np.array([True, False])]
    assert value_hashes(columns).tolist() == [11559029345458384267, 9280243490656933461]
    groups = np.array([-1, 7]).view(np.uint64)
    assert value_hashes(columns, groups).tolist() == [4899929468734466303, 15825666497384677218]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1, 2]), np.array([1.0, 2.0], dtype=np.float32)),
        (np.array([1, 0]), np.array([True, False])),
        (np.array([0.0, 1.0]), np.array([-0.0, 1.0])),
        (np.array([1.0, np.nan]), pd.Series([1, None], dtype="Int64")),
        (pd.Series(["a", "b"], dtype=object), pd.Series(["a", "b"], dtype="string")),
        (pd.Series(["a", None], dtype=object), pd.Categorical(["a", None], categories=["b", "a"])),
        (pd.Categorical([1, 2]), pd.Categorical([1.0, 2.0])),
        (
            pd.Series(pd.to_datetime(["2026-01-05", None])).astype("datetime64[ns]"),
            pd.Series(pd.to_datetime(["2026-01-05", None])).astype("datetime64[us]").dt.tz_localize("UTC"),
        ),
    ],
    ids=["widths", "booleans", "zeros", "nulls", "texts", "categories", "numbers that are categories", "times"],
)
def test_equal_values_share_a_content_hash_whatever_their_type(one, other):
    assert value_hashes([one]).tolist() == value_hashes([other]).tolist()


@given(ROWS)
def test_rows_that_differ_in_one_value_or_in_their_group_have_other_value_hashes(rows):
    frame = table(rows)
    columns = [frame[name] for name in ("i", "text", "x")]
    assert len(set(value_hashes(columns).tolist())) == len({row[:3] for row in rows})
    groups = np.arange(len(frame), dtype=np.uint64)
    assert len(set(value_hashes(columns, groups).tolist())) == len(frame)


LARGE = [2**53, 2**53 + 1, 2**53 + 2, 2**62 + 1, -(2**53) - 1, -(2**63), 2**63 - 1]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "int64[pyarrow]", object])
def test_integers_that_are_one_float_are_told_apart(dtype):
    hashes = value_hashes([pd.Series(LARGE, dtype=dtype)])
    assert len(set(hashes.tolist())) == len(LARGE)
    assert hashes.tolist() == value_hashes([np.array(LARGE)]).tolist()
    floats = value_hashes([np.array([2.0**53, 2.0**53 + 2, -(2.0**63)])])
    assert floats.tolist() == hashes[[0, 2, 5]].tolist()


def test_unsigned_integers_are_told_apart_too_and_share_the_hash_of_signed_ones():
    hashes = value_hashes([np.array([2**64 - 1, 2**64 - 2, 2**53 + 1], dtype=np.uint64)])
    assert len(set(hashes.tolist())) == 3
    assert hashes[2] == value_hashes([np.array([2**53 + 1])])[0]


def test_lists_are_hashed_by_their_text():
    lists = pd.Series([[1], [2], [1], None], dtype=object)
    first, second, third, null = value_hashes([lists])
    assert (first == third, len({first, second, null})) == (True, 3)


def test_the_order_of_columns_counts():
    one, two = np.array([1.0]), np.array([2.0])
    assert value_hashes([one, two]) != value_hashes([two, one])
