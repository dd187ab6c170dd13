"""Routing: every row is answered as a loop over single rows would answer it, whatever else is in the batch."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from routes import (
    CHILDREN,
    REGRESSION,
    ROWS,
    Store,
    frame_of,
    naive,
    simple,
)

from metamodel.exceptions import MissingColumns, UnknownGroup
from metamodel.prediction.answer_form import PredictOptions
from metamodel.tables.keys import encode_key


def predict(frame, children=CHILDREN, route=REGRESSION, **options):
    return route.predict(frame, Store(children), PredictOptions(**options))


@given(ROWS, st.sampled_from(["null", "fallback"]))
def test_routing_equals_the_naive_loop(rows, unknown):
    frame = frame_of(rows)
    answers = predict(frame, unknown=unknown)
    expected = pd.DataFrame(naive(frame, CHILDREN, REGRESSION, unknown), columns=["prediction", "status"])
    assert_frame_equal(answers, expected.astype(answers.dtypes), check_index_type=False)


@given(ROWS, st.data())
def test_rows_keep_their_index_even_where_it_repeats(rows, data):
    index = data.draw(st.lists(st.sampled_from(["a", "b", 1]), min_size=len(rows), max_size=len(rows)))
    frame = frame_of(rows, pd.Index(index, dtype=object, name="id"))
    answers = predict(frame, detail=True)
    assert (answers.index.tolist(), answers.index.name) == (index, "id")
    assert_frame_equal(answers.reset_index(drop=True), predict(frame_of(rows), detail=True), check_index_type=False)


@given(ROWS, st.sampled_from(["null", "fallback"]))
def test_every_row_has_a_status(rows, unknown):
    answers = predict(frame_of(rows), unknown=unknown)
    assert (len(answers), answers["status"].notna().all()) == (len(rows), True)


def test_an_index_of_several_levels_is_kept():
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1)], names=["i", "j"])
    assert predict(simple(("FR", 7), ("DE", 7)).set_axis(index)).index.equals(index)


# --- no rows


@pytest.mark.parametrize("detail", [False, True])
def test_an_empty_table_gives_the_dtypes_of_a_full_one(detail):
    full, empty = (predict(frame, detail=detail) for frame in (simple(("FR", 7)), simple(("FR", 7)).iloc[:0]))
    assert (len(empty), empty.dtypes.to_dict()) == (0, full.dtypes.to_dict())


def test_an_empty_table_without_dtypes_is_answered():
    assert predict(pd.DataFrame({"country": [], "store": [], "x": [], "z": []})).shape == (0, 2)


# --- children that misbehave


def test_text_in_a_feature_fails_its_own_row():
    frame = frame_of([("FR", 7, 1.0, 0.5), ("FR", 7, "one", 0.5), ("FR", 7, 2.0, 0.5)])
    answers = predict(frame, detail=True)
    assert answers["status"].tolist() == ["child", "failed", "child"]
    assert answers["error"][1] == "Feature 'x' is not a number."


# --- groups without a child

UNKNOWN = [("XX", 1), ("FR", 99), ("DE", 99), ("DE", 8)]


def test_under_null_an_unknown_group_is_answered_with_null():
    answers = predict(simple(*UNKNOWN))
    assert answers["status"].tolist() == ["unknown_group"] * 3 + ["failed"]
    assert answers["prediction"].isna().all()


def test_under_fallback_the_nearest_parent_answers():
    answers = predict(simple(*UNKNOWN), unknown="fallback", detail=True)
    assert answers["status"].tolist() == ["global", "parent:1", "global", "global"]
    assert answers["prediction"].tolist() == [1000.5, 100.5, 1000.5, 1000.5]
    assert (answers["level"].tolist(), answers["key"][1]) == ([0, 1, 0, 0], encode_key(("FR", 99)))


def test_under_fallback_without_any_parent_the_group_stays_unknown():
    answers = predict(simple(("XX", 1), ("DE", 8)), {("DE", 8): CHILDREN["DE", 8]}, unknown="fallback")
    assert answers["status"].tolist() == ["unknown_group", "failed"]


def test_under_error_all_unknown_groups_are_counted():
    with pytest.raises(
        UnknownGroup,
        match=r"4 groups without a child model: .*\('XX', 1\).* First: No child model for group \('XX', 1\)",
    ):
        predict(simple(("FR", 7), *UNKNOWN), unknown="error")


def test_under_error_an_invalid_key_is_answered_all_the_same():
    assert predict(simple(("FR", 7.5)), unknown="error")["status"].tolist() == ["invalid_key"]


def test_an_invalid_key_is_explained():
    answers = predict(simple(("FR", 7.5), (None, 7)), detail=True)
    assert [("7.5 is none" in answers["error"][0]), ("'country' is null" in answers["error"][1])] == [True, True]


# --- bad input


@pytest.mark.parametrize("column", ["country", "store", "x"])
def test_a_missing_column_is_named(column):
    with pytest.raises(MissingColumns, match=rf"lacks (group|feature) column '{column}' \(it has 3: .*Add the column"):
        predict(simple(("FR", 7)).drop(columns=column))
