"""A unit has one key, whichever way its columns came."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.prediction.rollout.units import EntityColumn, entity_units

VALUES = st.sampled_from(
    ["c-1", "7", "", "ü", "\ud800", 7, 7.0, 7.5, Decimal(7), True, 2**53 + 2, None, float("nan"), dt.date(2026, 1, 31)]
)


def texts(columns, values, n_rows):
    units = entity_units(columns, values, n_rows)
    return [units.texts[code] for code in units.codes.tolist()]


@given(st.lists(VALUES, min_size=1, max_size=8), st.lists(VALUES, min_size=1, max_size=8))
def test_a_row_names_the_same_unit_alone_and_in_a_table(first, second):
    columns = [EntityColumn("a"), EntityColumn("b")]
    rows = list(zip(first, second, strict=False)) * 20  # a table that is read by columns
    frame = pd.DataFrame(rows, columns=["a", "b"], dtype=object)
    alone = [texts(columns, {"a": [one], "b": [other]}, 1)[0] for one, other in rows]
    assert texts(columns, frame, len(frame)) == alone


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([7] * 20),
        pd.Series([7.0] * 20),
        pd.Series([7] * 20, dtype="Int64"),
        pd.Series([7] * 20, dtype=object),
        pd.Series([7] * 20).astype("category"),
        [7] * 20,
        [Decimal(7)] * 20,
        np.full(20, 7, dtype=np.int8),
    ],
)
def test_a_whole_number_is_one_unit_in_every_column_that_can_hold_it(values):
    assert set(texts([EntityColumn("id")], {"id": values}, 20)) == {"[7]"}


def test_a_date_is_the_unit_that_json_can_write():
    columns, day = [EntityColumn("day")], dt.date(2026, 1, 31)
    for value in (day, pd.Timestamp(day), np.datetime64(day), "2026-01-31"):
        assert texts(columns, {"day": [value]}, 1) == ['["2026-01-31"]']


def test_text_and_number_are_two_units_unless_the_kind_is_written_down():
    assert texts([EntityColumn("id")], {"id": ["7", 7]}, 2) == ['["7"]', "[7]"]
    assert texts([EntityColumn.parse("id:integer")], {"id": ["7", 7, "x"]}, 3) == ["[7]", "[7]", ""]


@pytest.mark.parametrize("value", [None, float("nan"), pd.NaT, pd.NA, 7.5, [1], pd.Timestamp("2026-01-31 12:00")])
def test_what_is_no_key_names_no_unit(value):
    units = entity_units([EntityColumn("id")], {"id": [value, "c"]}, 2)
    assert units.named.tolist() == [False, True]


def test_a_column_that_did_not_come_names_no_unit():
    for n_rows in (2, 200):
        assert not entity_units([EntityColumn("id")], {}, n_rows).named.any()


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="number' is unknown"):
        EntityColumn.parse("id:number")
