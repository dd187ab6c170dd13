"""Grouping rows: as the naive loop would, whatever the columns' dtypes and order."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.grouping import check_columns, group_rows, group_sizes
from metamodel.tables.keys import KeyColumn, KeySchema, encode_key

COUNTRY, STORE = KeyColumn("country", "string"), KeyColumn("store", "integer")
BOTH = KeySchema((COUNTRY, STORE))
CELLS = st.sampled_from(["FR", "DE", "", "🦉", None, 7, np.nan, pd.NA, True, "\ud800"])
NUMBERS = st.sampled_from([7, 7.0, np.int64(7), Decimal(7), 8, 7.5, "7", True, None, np.nan, (1, 2), [1], 2**70])


def naive(frame, schema):
    """Each row's key, or None where it has none: one row at a time."""
    found = []
    for values in zip(*(frame[name] for name in schema.names), strict=True):
        try:
            found.append(tuple(schema.canonical_value(i, value) for i, value in enumerate(values)))
        except InvalidKey:
            found.append(None)
    return found


def keys_of_rows(grouping):
    return [key if isinstance(key, tuple) else None for key in (grouping.keys[code] for code in grouping.codes)]


def store_frame(values, **options):
    return pd.DataFrame({"store": pd.Series(values, **options)})


@given(st.lists(st.tuples(CELLS, NUMBERS), max_size=30), st.sampled_from(["error", "group"]))
def test_every_row_gets_the_key_the_naive_loop_gives_it(rows, policy):
    schema = KeySchema((COUNTRY, STORE), policy)
    frame = pd.DataFrame(
        {
            "country": pd.Series([r[0] for r in rows], dtype=object),
            "store": pd.Series([r[1] for r in rows], dtype=object),
        }
    )
    assert keys_of_rows(group_rows(frame, schema)) == naive(frame, schema)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_slices_in_group_order_hold_each_groups_rows_in_their_order(rows):
    frame = pd.DataFrame(rows, columns=["country", "store"]).astype({"country": object, "store": "int64"})
    grouping = group_rows(frame, BOTH)
    for i, key in enumerate(grouping.keys):
        expected = [row for row, values in enumerate(rows) if values == key]
        assert grouping.order[grouping.bounds[i] : grouping.bounds[i + 1]].tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([7, 8, 7]),
        pd.Series([7, 8, 7], dtype="int8"),
        pd.Series([7, 8, 7], dtype="uint64"),
        pd.Series([7.0, 8.0, 7.0]),
        pd.Series([7, 8, 7], dtype="Int64"),
        pd.Series([7, 8, 7], dtype="category"),
        pd.Series([7, 8, 7], dtype="int64[pyarrow]"),
        pd.Series([Decimal(7), Decimal(8), Decimal("7.0")]),
        pd.Series([7, 8.0, np.int64(7)], dtype=object),
    ],
    ids=lambda values: str(values.dtype),
)
def test_integer_keys_agree_whatever_the_dtype(values):
    grouping = group_rows(store_frame(values), KeySchema((STORE,)))
    assert (grouping.keys, grouping.codes.tolist()) == ([(7,), (8,)], [0, 1, 0])


@pytest.mark.parametrize("dtype", [object, "string", "category", "string[pyarrow]", None])
def test_text_keys_agree_whatever_the_dtype(dtype):
    frame = pd.DataFrame({"country": pd.Series(["FR", "🦉", None, "FR"], dtype=dtype)})
    grouping = group_rows(frame, KeySchema((COUNTRY,), "group"))
    assert keys_of_rows(grouping) == [("FR",), ("🦉",), (None,), ("FR",)]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", pd.Series([True, False])),
        ("boolean", pd.Series([True, False], dtype="boolean")),
        ("boolean", pd.Series([True, False], dtype=object)),
        ("date", pd.Series([dt.date(2026, 1, 1), dt.date(2026, 1, 2)])),
        ("date", pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"]))),
        ("timestamp", pd.Series(pd.to_datetime(["2026-01-01 01:00", "2026-01-02 00:00"]))),
    ],
)
def test_other_kinds_of_keys_are_grouped_too(kind, values):
    schema = KeySchema((KeyColumn("store", kind),))
    assert keys_of_rows(group_rows(store_frame(values), schema)) == naive(store_frame(values), schema)


def test_equal_values_of_other_types_keep_apart():
    grouping = group_rows(store_frame([1, True, "1", 1.0, 1.5], dtype=object), KeySchema((STORE,)))
    assert keys_of_rows(grouping) == [(1,), None, None, (1,), None]


def test_joined_names_do_not_collide():
    frame = pd.DataFrame({"country": ["a-b", "a"], "store": ["c", "b-c"]})
    assert len(group_rows(frame, KeySchema.infer(frame, ["country", "store"])).keys) == 2


def test_categories_without_rows_make_no_group():
    frame = pd.DataFrame({"country": pd.Categorical(["b", "b"], categories=["a", "b", "c"])})
    assert group_rows(frame, KeySchema((COUNTRY,))).keys == [("b",)]


def test_integers_beyond_two_to_the_53_stay_apart():
    big = 2**53
    assert group_rows(store_frame([big, big + 1]), KeySchema((STORE,))).keys == [(big,), (big + 1,)]


def test_an_error_names_the_value_of_its_own_rows():
    grouping = group_rows(store_frame([7.5, 8.5]), KeySchema((STORE,)))
    assert ["7.5" in str(grouping.keys[0]), "8.5" in str(grouping.keys[1])] == [True, True]


@pytest.mark.parametrize(("policy", "key"), [("group", (None,)), ("error", None), ("drop", None)])
def test_a_null_is_a_key_only_where_the_policy_says_so(policy, key):
    grouping = group_rows(store_frame([7, None]), KeySchema((STORE,), policy))
    assert keys_of_rows(grouping) == [(7,), key]


@pytest.mark.parametrize("dtype", ["int64", "float64", "object", "Int64", "category", "string", "datetime64[ns]"])
def test_a_table_without_rows_has_no_groups(dtype):
    grouping = group_rows(store_frame([], dtype=dtype), KeySchema((STORE,)))
    assert (grouping.keys, len(grouping.codes), grouping.bounds.tolist()) == ([], 0, [0])


def test_many_columns_are_combined():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 3, (500, 6)), columns=list("abcdef"))
    schema = KeySchema.infer(frame, list("abcdef"))
    assert keys_of_rows(group_rows(frame, schema)) == naive(frame, schema)


def test_a_coarser_level_groups_by_the_leading_columns():
    frame = pd.DataFrame({"country": ["FR", "DE", "FR"], "store": [1, 1, 2]})
    coarser = group_rows(frame, BOTH).at_level(1)
    assert (coarser.keys, coarser.codes.tolist()) == ([("FR",), ("DE",)], [0, 1, 0])


def test_level_zero_is_one_group_of_all_rows():
    whole = group_rows(pd.DataFrame({"country": ["FR", "DE"], "store": [1, 1]}), BOTH).at_level(0)
    assert (whole.keys, whole.codes.tolist()) == ([()], [0, 0])


@given(st.permutations(range(6)))
def test_row_order_never_matters(order):
    frame = pd.DataFrame({"country": list("aabbca"), "store": [1, 2, 1, 1, 1, 2]})
    keys = keys_of_rows(group_rows(frame, BOTH))
    shuffled = keys_of_rows(group_rows(frame.iloc[list(order)], BOTH))
    assert [encode_key(key) for key in shuffled] == [encode_key(keys[i]) for i in order]


def test_a_missing_column_is_named_with_what_there_is():
    with pytest.raises(
        MissingColumns, match=r"lacks group column 'store' \(it has 2: country, price\). Add the column"
    ):
        check_columns(pd.DataFrame(columns=["country", "price"]), ["country", "store"], "group column")


def test_a_column_that_is_there_twice_is_named():
    with pytest.raises(InputError, match=r"more than one column named 'store'. Keep one, rename the others"):
        check_columns(pd.DataFrame([[1, 2]], columns=["store", "store"]), ["store"], "group column")


def test_a_column_that_nobody_needs_may_be_there_twice():
    assert check_columns(pd.DataFrame([[1, 2, 3]], columns=["x", "x", "store"]), ["store"], "group column") is None


@pytest.mark.parametrize("odd", [None, 7, np.nan, b"bytes", "\ud800", "new"], ids=repr)
@pytest.mark.parametrize("shared", [True, False])
def test_a_long_column_of_texts_is_grouped_by_value_whether_equal_texts_are_one_object_or_not(shared, odd):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 300, 20_000).tolist()
    names = [f"store-{i}" for i in range(300)]
    texts = [names[i] if shared else f"store-{i}" for i in numbers]
    texts[15_000] = odd
    frame = pd.DataFrame({"g": pd.Series(texts, dtype=object)})
    grouping = group_rows(frame, KeySchema((KeyColumn("g", "string"),)))
    short = group_rows(frame.iloc[14_000:16_000], KeySchema((KeyColumn("g", "string"),)))
    assert [str(grouping.keys[code]) for code in grouping.codes[14_000:16_000]] == [
        str(short.keys[code]) for code in short.codes
    ]
    assert len(grouping.keys) == 301


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_the_gini_coefficient_is_half_the_relative_mean_difference(sizes: list[int]) -> None:
    rows = np.array(sizes, dtype=float)
    expected = np.abs(rows[:, None] - rows).mean() / (2 * rows.mean())
    assert group_sizes(sizes)["group_rows_gini"] == pytest.approx(expected, abs=1e-12)
