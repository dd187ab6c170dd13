"""One call to predict: a row is answered alone as among others, in whatever order and however a table is cut."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from routes import (
    CHILDREN,
    REGRESSION,
    ROWS,
    Store,
    frame_of,
    simple,
)

from metamodel.prediction.answer_form import PredictOptions


def predict(frame, children=CHILDREN, route=REGRESSION, **options):
    return route.predict(frame, Store(children), PredictOptions(**options))


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


def test_the_given_table_is_not_changed():
    frame = simple(("FR", 7), ("XX", 1))
    before = frame.copy(deep=True)
    predict(frame, detail=True)
    assert_frame_equal(frame, before)


def test_one_row_is_answered_by_one_prediction():
    assert predict(simple(("FR", 8)))["prediction"].tolist() == [2.5]
