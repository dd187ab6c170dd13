"""Routing: every row is answered as a loop over single rows would answer it, whatever else is in the batch."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from routes import (
    CHILDREN,
    FEATURES,
    KEYS,
    REGRESSION,
    ROWS,
    Labels,
    Line,
    Store,
    frame_of,
    naive,
    simple,
)

from metamodel.exceptions import InputError, MissingColumns, UnknownGroup
from metamodel.prediction.answer_form import PredictOptions, probability_column
from metamodel.prediction.routing import Route, output_columns
from metamodel.tables.keys import encode_key


def predict(frame, children=CHILDREN, route=REGRESSION, **options):
    return route.predict(frame, Store(children), PredictOptions(**options))


@given(ROWS, st.sampled_from(["null", "fallback"]))
def test_routing_equals_the_naive_loop(rows, unknown):
    frame = frame_of(rows)
    answers = predict(frame, unknown=unknown)
    expected = pd.DataFrame(naive(frame, CHILDREN, REGRESSION, unknown), columns=["prediction", "status"])
    assert_frame_equal(answers, expected.astype(answers.dtypes), check_index_type=False)


@given(ROWS, st.randoms())
def test_row_order_and_column_order_and_further_columns_never_matter(rows, random):
    frame = frame_of(rows).assign(extra="ignored")
    order = random.sample(range(len(rows)), len(rows))
    columns = random.sample(list(frame.columns), len(frame.columns))
    assert_frame_equal(predict(frame.iloc[order][columns], detail=True), predict(frame, detail=True).iloc[order])


@given(ROWS, st.integers(0, 25))
def test_how_a_table_is_cut_into_batches_never_matters(rows, cut):
    frame = frame_of(rows)
    parts = [predict(frame.iloc[:cut], detail=True), predict(frame.iloc[cut:], detail=True)]
    whole = predict(frame, detail=True)
    assert_frame_equal(pd.concat(parts) if len(rows) else parts[0], whole, check_index_type=False)


@given(ROWS)
def test_single_rows_are_answered_like_batches(rows):
    frame = frame_of(rows)
    whole = predict(frame, detail=True)
    for i in range(len(rows)):
        assert_frame_equal(predict(frame.iloc[[i]], detail=True), whole.iloc[[i]])


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


def test_the_given_table_is_not_changed():
    frame = simple(("FR", 7), ("XX", 1))
    before = frame.copy(deep=True)
    predict(frame, detail=True)
    assert_frame_equal(frame, before)


# --- no rows, one row


@pytest.mark.parametrize("detail", [False, True])
def test_an_empty_table_gives_the_dtypes_of_a_full_one(detail):
    full, empty = (predict(frame, detail=detail) for frame in (simple(("FR", 7)), simple(("FR", 7)).iloc[:0]))
    assert (len(empty), empty.dtypes.to_dict()) == (0, full.dtypes.to_dict())


def test_an_empty_table_without_dtypes_is_answered():
    assert predict(pd.DataFrame({"country": [], "store": [], "x": [], "z": []})).shape == (0, 2)


def test_one_row_is_answered_by_one_prediction():
    assert predict(simple(("FR", 8)))["prediction"].tolist() == [2.5]


# --- children that misbehave


def test_one_child_that_raises_hides_no_other():
    class Raises:
        def predict(self, x):
            raise RuntimeError("out of order")

    answers = predict(simple(("FR", 7), ("FR", 8), ("FR", 7)), {("FR", 7): Raises(), ("FR", 8): Line(2)}, detail=True)
    assert answers["status"].tolist() == ["failed", "child", "failed"]
    assert answers["error"].tolist() == ["RuntimeError: out of order", "", "RuntimeError: out of order"]


def test_a_child_that_raises_on_some_rows_answers_the_others():
    frame = pd.concat([simple(("FR", 7), x=float(x)) for x in range(10, 16)], ignore_index=True)
    answers = predict(frame)
    assert answers["status"].tolist() == ["child"] * 3 + ["failed"] + ["child"] * 2
    assert answers["prediction"].dropna().tolist() == [10.5, 11.5, 12.5, 14.5, 15.5]


def test_a_child_that_always_raises_is_not_asked_for_every_row():
    calls = []

    class Raises:
        def predict(self, x):
            calls.append(len(x))
            raise RuntimeError("out of order")

    answers = predict(pd.concat([simple(("FR", 7))] * 5000, ignore_index=True), {("FR", 7): Raises()})
    assert ((answers["status"] == "failed").all(), len(calls) < 1000) == (True, True)


@pytest.mark.parametrize(
    "bad",
    [range(500), [*range(500), 700], range(0, 1000, 20), [0, 999]],
    ids=["block", "two", "spread", "ends"],
)
def test_every_row_that_a_child_can_answer_is_answered_wherever_the_others_stand(bad):
    frame = frame_of([("FR", 7, 13.0 if row in bad else 1.0, 0.0) for row in range(1000)])
    assert np.flatnonzero(predict(frame)["status"] == "failed").tolist() == list(bad)


def test_a_childs_own_nan_stays_null():
    answers = predict(simple(("FR", 7), x=17.0))
    assert (answers["prediction"].isna().tolist(), answers["status"].tolist()) == ([True], ["child"])


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (1, 2)])
def test_an_output_of_another_length_fails_its_own_group_alone(shape):
    class Odd:
        def predict(self, x):
            return np.zeros(shape)

    answers = predict(simple(("FR", 7), ("FR", 7), ("FR", 8)), {("FR", 7): Odd(), ("FR", 8): Line(2)}, detail=True)
    one_each = shape == (1,)  # asked again for a single row, this child answers
    assert answers["status"].tolist() == ["child" if one_each else "failed"] * 2 + ["child"]
    assert one_each or answers["error"][0].startswith(f"ChildFailed: predict returned shape {shape} for 1 row")


def test_a_column_of_predictions_is_as_good_as_a_row():
    class Column(Line):
        def predict(self, x):
            return super().predict(x).reshape(-1, 1)

    assert predict(simple(("FR", 7)), {("FR", 7): Column(1)})["prediction"].tolist() == [1.5]


def test_a_damaged_child_fails_its_own_rows_and_no_parent_steps_in():
    answers = predict(simple(("IT", 7), ("FR", 7)), unknown="fallback", detail=True)
    assert answers["status"].tolist() == ["failed", "child"]
    assert answers["error"][0] == "The child of group ('IT', 7) is damaged."


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
        UnknownGroup, match=r"4 groups without a child model. First: No child model for group \('XX', 1\)"
    ):
        predict(simple(("FR", 7), *UNKNOWN), unknown="error")


def test_under_error_an_invalid_key_is_answered_all_the_same():
    assert predict(simple(("FR", 7.5)), unknown="error")["status"].tolist() == ["invalid_key"]


def test_an_invalid_key_is_explained():
    answers = predict(simple(("FR", 7.5), (None, 7)), detail=True)
    assert [("7.5 is none" in answers["error"][0]), ("'country' is null" in answers["error"][1])] == [True, True]


# --- classifiers

CLASSES = {
    "string": (("a", "b", "ü"), [["a", "b"], ["b", "ü"], ["ü"]]),
    "integer": ((-1, 0, 5), [[-1, 0], [0, 5], [5]]),
    "boolean": ((False, True), [[False, True], [False], [True]]),
}
KINDS = pytest.mark.parametrize("kind", CLASSES)


def classifier(kind):
    union, own = CLASSES[kind]
    route = Route(KEYS, FEATURES, "classification", kind, union, ())
    return route, {("FR", i): Labels(classes) for i, classes in enumerate(own)}


@KINDS
def test_labels_keep_their_kind_beside_nulls(kind):
    route, children = classifier(kind)
    answers = predict(simple(("FR", 0), ("XX", 1), ("FR", 2)), children, route)
    union, own = CLASSES[kind]
    assert (answers["prediction"][0], answers["prediction"][2]) == (own[0][-1], own[2][0])
    assert (type(answers["prediction"][0]), answers["prediction"].isna().tolist()) == (
        type(pd.array(union)[0]) if kind != "string" else str,
        [False, True, False],
    )


@KINDS
@pytest.mark.parametrize("groups", [[0], [1], [2], [0, 1], [2, 0], [0, 1, 2]])
def test_probabilities_are_aligned_to_the_union_whatever_groups_are_in_the_batch(kind, groups):
    route, children = classifier(kind)
    answers = predict(simple(*[("FR", i) for i in groups]), children, route, predict_method="predict_proba")
    union, own = CLASSES[kind]
    expected = [[float(label == own[i][-1]) for label in union] for i in groups]
    assert answers[[probability_column(label) for label in union]].to_numpy().tolist() == expected


@KINDS
@pytest.mark.parametrize("rows", [0, 1])
def test_columns_and_dtypes_do_not_depend_on_the_batch(kind, rows):
    route, children = classifier(kind)
    options = {"predict_method": "predict_proba", "detail": True}
    few = predict(simple(("XX", 1)).iloc[:rows], children, route, **options)
    many = predict(simple(("FR", 0), ("FR", 1)), children, route, **options)
    assert few.dtypes.to_dict() == many.dtypes.to_dict()
    assert list(few) == output_columns(route, PredictOptions(**options))


def test_rows_without_a_child_have_null_probabilities():
    route, children = classifier("string")
    answers = predict(simple(("XX", 1)), children, route, predict_method="predict_proba")
    assert answers.filter(like="probability_").isna().all(axis=None)


def test_a_child_without_probabilities_fails_alone():
    route, children = classifier("string")
    answers = predict(
        simple(("FR", 0), ("FR", 1)), children | {("FR", 0): Line(1)}, route, predict_method="predict_proba"
    )
    assert answers["status"].tolist() == ["failed", "child"]


@KINDS
@pytest.mark.parametrize("odd", [np.array([1.5]), np.array(["x"]), np.array([{}]), np.array([9])], ids=repr)
def test_a_label_of_another_kind_fails_its_own_group_alone(kind, odd):
    class Odd:
        def predict(self, x):
            return np.repeat(odd, len(x))

    route, children = classifier(kind)
    answers = predict(simple(("FR", 0), ("FR", 1)), children | {("FR", 0): Odd()}, route)
    fits = {"string": str, "integer": int, "boolean": bool}[kind] is type(odd.tolist()[0])
    assert answers["status"].tolist() == ["child" if fits else "failed", "child"]


@pytest.mark.parametrize(("kind", "label"), [("string", "a"), ("integer", 5), ("boolean", True)])
@pytest.mark.parametrize("null", [None, np.nan])
def test_a_label_that_a_child_leaves_out_stays_null(kind, label, null):
    class Unsure:
        def predict(self, x):
            return np.array([label, null], dtype=object)

    route, _ = classifier(kind)
    answers = predict(simple(("FR", 0), ("FR", 0)), {("FR", 0): Unsure()}, route)
    assert (answers["prediction"][0], answers["prediction"].isna()[1]) == (label, True)
    assert answers["status"].tolist() == ["child", "child"]


def test_probabilities_of_a_class_that_training_never_saw_fail_alone():
    route, children = classifier("string")
    answers = predict(
        simple(("FR", 0), ("FR", 1)),
        children | {("FR", 0): Labels(["a", "new"])},
        route,
        predict_method="predict_proba",
    )
    assert answers["status"].tolist() == ["failed", "child"]


# --- bad input


@pytest.mark.parametrize("column", ["country", "store", "x"])
def test_a_missing_column_is_named(column):
    with pytest.raises(MissingColumns, match=rf"lacks (group|feature) column '{column}' \(it has 3: .*Add the column"):
        predict(simple(("FR", 7)).drop(columns=column))


def test_a_regressor_has_no_probabilities():
    with pytest.raises(InputError, match=r"'predict_proba' needs a classifier, but this model does regression"):
        predict(simple(("FR", 7)), predict_method="predict_proba")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predict_method": "transform"}, r"predict_method='transform' is unknown. Use one of: predict, predict_proba"),
        ({"unknown": "skip"}, r"unknown='skip' is unknown. Use one of: null, error, fallback"),
        ({"detail": "yes"}, r"detail='yes' is neither true nor false"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        PredictOptions(**options)


class Counting(Line):
    """Counts how often it is asked."""

    calls = 0

    def predict(self, x):
        type(self).calls += 1
        return super().predict(x)


def test_a_parent_is_loaded_and_asked_once_for_all_its_orphans():
    Counting.calls = 0
    store = Store({**CHILDREN, (): Counting(0.0)})
    rows = [key for i in range(40) for key in (("nowhere", i), *list(CHILDREN)[:1])]
    answers = REGRESSION.predict(simple(*rows), store, PredictOptions(unknown="fallback"))
    assert set(answers["status"]) == {"global", "child"}
    assert Counting.calls == 1
