"""A small table is read another way than a large one; the answers are the same."""

import datetime as dt
import tracemalloc
from contextlib import nullcontext
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import UnknownGroup
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.routing import Route
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema
from metamodel.tables.grouping import group_rows
from metamodel.tables.keys import KeyColumn, KeySchema
from metamodel.tables.small_tables import read_few_rows, read_plain_rows

KEYS = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))
FEATURES = FeatureSchema(
    (Feature("price", "number", "float64"), Feature("rows", "number", "int64"), Feature("promo", "boolean", "bool")),
    "array",
)
COUNTRIES = st.sampled_from(["FR", "DE", "", "🦉", None, 7, np.nan, "\ud800"])
STORES = st.sampled_from([1, 1.0, np.int64(2), Decimal(2), 2.5, "1", True, None, np.nan, 2**70])
NUMBERS = st.sampled_from(
    [0.5, -3.0, np.nan, np.inf, 7, True, "text", None, Decimal("1.5"), np.float32(0.1), 2**60 + 1]
)
ROWS = st.lists(st.tuples(COUNTRIES, STORES, NUMBERS, NUMBERS, NUMBERS), max_size=12)


class Sum:
    """Predicts the sum of the features, and raises where it is negative."""

    def predict(self, x):
        if (x.sum(axis=1) < 0).any():
            raise ValueError("negative")
        return x.sum(axis=1)


class Store:
    def load(self, key, *, keep=True):
        if key not in {("FR", 1), ("FR", 2), ("", 1)}:
            raise UnknownGroup(f"no {key}")
        return Sum(), "version"

    def should_keep(self, n_groups):
        return True

    def ahead(self, keys, *, keep):
        return nullcontext(self.load)


ROUTE = Route(KEYS, FEATURES, "regression", None, (), ())


def table(rows):
    columns = ["country", "store", "price", "rows", "promo"]
    frame = pd.DataFrame({name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(columns)})
    return frame.set_axis(range(5, 5 + len(rows)))


@given(ROWS)
def test_a_small_table_is_answered_like_a_large_one(rows):
    frame, options = table(rows), PredictOptions(detail=True)
    # Enough copies of the same rows to go the general way.
    large = ROUTE.predict(pd.concat([frame] * 40), Store(), options).iloc[: len(frame)]
    pd.testing.assert_frame_equal(ROUTE.predict(frame, Store(), options), large)


@given(
    st.lists(st.tuples(st.sampled_from(["FR", "DE"]), st.integers(0, 3), st.floats(), st.integers(-9, 9))),
    st.sampled_from(["float64", "float32", "int8"]),
)
def test_plain_columns_are_read_to_the_last_bit(rows, dtype):
    frame = pd.DataFrame(rows, columns=["country", "store", "price", "rows"]).astype({"country": object})
    frame = frame.astype({"price": "float64", "rows": dtype}).assign(promo=True)
    schema = FeatureSchema((Feature("price", "number", "float32"), Feature("rows", "number", dtype)), "array")
    few = read_few_rows(frame, KEYS, schema)
    with np.errstate(over="ignore"):
        assert few[1].table().values.tobytes() == schema.columns(frame).table().values.tobytes()


@given(st.lists(st.tuples(COUNTRIES, STORES), max_size=12))
def test_keys_are_the_same(rows):
    frame = table([(*row, 1.0, 2, True) for row in rows])
    grouping, _ = read_few_rows(frame, KEYS, FEATURES)
    general = group_rows(frame, KEYS)
    assert [str(grouping.keys[code]) for code in grouping.codes] == [str(general.keys[code]) for code in general.codes]


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_dates_are_the_same_keys(kind):
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-31"]), "x": [1.0]})
    schema = KeySchema((KeyColumn("day", kind),))
    grouping, _ = read_few_rows(frame, schema, FeatureSchema((Feature("x", "number", "float64"),), "array"))
    assert grouping.keys == [(dt.date(2026, 1, 31) if kind == "date" else pd.Timestamp("2026-01-31"),)]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"country": ["FR"], "store": [1], "price": [1.0], "rows": [2]}),
        pd.DataFrame([["FR", 1, 1.0, 1.0, 2, True]], columns=["country", "store", "price", "price", "rows", "promo"]),
        pd.DataFrame({"country": ["FR"], "store": [1], "price": ["text"], "rows": [2], "promo": [True]}),
    ],
    ids=["missing column", "column twice", "text"],
)
def test_other_tables_go_the_general_way(frame):
    assert read_few_rows(frame, KEYS, FEATURES) is None


def test_a_long_text_among_many_numbers_takes_no_memory():
    rows = [[float(i), 2, True] for i in range(1000)] + [["x" * 100_000, 2, True]]
    tracemalloc.start()
    try:
        assert read_plain_rows([["FR", 1]] * len(rows), rows, KEYS, FEATURES) is None
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
