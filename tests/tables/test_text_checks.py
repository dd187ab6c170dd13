"""Columns of texts that hold something else are told before anything is fitted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metamodel
from metamodel.tables.text_checks import OddFields, is_index, odd_text, text_facts, without_odd_fields

ROWS = 200


def said(values):
    return odd_text("t", text_facts(pd.Series(values, dtype=object)))


@pytest.mark.parametrize(
    "dates", [["2024-01-05", "2024-01-06 10:00:00"], ["5.1.2024", "17.12.24"], ["1/5/2024"], ["2024/1/5T03:00"]]
)
def test_dates_are_told(dates):
    assert said(dates * 30).startswith(f"Feature 't' is text that looks like dates in {30 * len(dates):,} of ")


@pytest.mark.parametrize("odd", ["-", "n/a", "", "12 kg"])
@pytest.mark.parametrize("numbers", [["1", "2.5", "-3e4"], ["1,234.50", " 7 ", "12%"]])
def test_numbers_with_a_few_odd_fields_are_told(numbers, odd):
    assert said([*numbers * 20, odd]).startswith("Feature 't' is text, but looks like numbers in 60 of 61 rows")


def test_texts_that_tell_rows_apart_are_told():
    assert "with 100 values in 100 rows, which tells rows apart" in said([f"id {i}" for i in range(100)])


@pytest.mark.parametrize(
    "values",
    [["00123", "00456"] * 30, ["red", "blue"] * 30, [None] * 60, ["a", "1", "2"] * 30, [f"id {i}" for i in range(10)]],
    ids=["codes", "words", "nulls", "a third odd", "few rows"],
)
def test_nothing_is_said_of_texts_that_are_what_they_seem(values):
    assert said(values) == ""


@pytest.mark.parametrize(
    ("name", "index"),
    [("Unnamed: 0", True), ("Unnamed: 0.1", True), ("__index_level_0__", True), ("Unnamed: 3", False)],
)
def test_an_index_is_known_by_its_name(name, index):
    assert is_index(name) is index


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"Unnamed: 0": np.arange(ROWS), "g": rng.choice(["a", "b"], ROWS), "x": rng.normal(size=ROWS)})
    frame["height"] = np.where(np.arange(ROWS) % 50 == 0, "-", np.arange(ROWS).astype(str))
    return frame.assign(y=frame["x"] + rng.normal(size=ROWS))


def test_an_index_is_no_feature_unless_it_is_named():
    result = metamodel.train(table(), "g", "y", n_jobs=1)
    assert [feature.name for feature in result.manifest.features.features] == ["x", "height"]
    assert [(one.check, one.columns) for one in result.findings] == [("index", ("Unnamed: 0",)), ("text", ("height",))]
    named = metamodel.train(table(), "g", "y", features=["Unnamed: 0", "x"], n_jobs=1)
    assert [feature.name for feature in named.manifest.features.features] == ["Unnamed: 0", "x"]
    assert not named.findings


@pytest.mark.spark
def test_spark_says_the_same(spark):
    local, there = (
        metamodel.train(data, "g", "y", n_jobs=1, engine=engine)
        for data, engine in ((table(), "local"), (spark.createDataFrame(table()), "spark"))
    )
    assert there.findings == local.findings
    assert there.manifest.features == local.manifest.features


# Columns that would be numbers but for a few odd fields

NUMBERS = [f"{i * 1.5 - 20:.2f}" for i in range(300)]


def read(values, **options):
    frame = pd.DataFrame({"size": pd.Series(values, **options), "other": "a"})
    converted, odd, rows = without_odd_fields(frame, ["size", "other"])
    return converted["size"], odd, rows


@pytest.mark.parametrize("dtype", [object, "str"])
@pytest.mark.parametrize("as_numbers", [False, True])
def test_a_few_odd_fields_become_nulls_among_numbers(dtype, as_numbers):
    values = [float(text) if as_numbers and dtype is object else text for text in NUMBERS]
    values[7], values[11] = "-", "n.a."
    column, odd, rows = read(values, dtype=dtype)
    assert odd == [OddFields("size", ("-", "n.a."), 2, 300)]
    assert np.flatnonzero(rows).tolist() == np.flatnonzero(column.isna()).tolist() == [7, 11]
    others = [i for i in range(300) if i not in (7, 11)]
    assert column[others].tolist() == [float(NUMBERS[i]) for i in others]


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        [*NUMBERS[:280], *["-"] * 20],
        [*NUMBERS[:290], *(f"odd {i}" for i in range(10))] * 4,
        ["007", "-", *NUMBERS],
        ["1,200", "-", *NUMBERS, "30%", "1,000", "2,000", "3,000", "4,000"],
        [*NUMBERS, pd.Timestamp("2024-01-01")],
        [*NUMBERS[:10], "-"],
        ["red", "blue"] * 100,
        [None] * 50,
    ],
    ids=["texts", "many odd", "different odd", "codes", "thousands", "dates", "few", "words", "nulls"],
)
def test_what_may_be_meant_as_text_is_left_alone(values):
    column, odd, rows = read(values, dtype=object)
    assert odd == []
    assert not rows.any()
    assert column.tolist() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=150, max_size=200), st.sampled_from("-?x"))
def test_numbers_are_read_to_the_last_bit(numbers, odd_text):
    column, odd, _ = read([repr(number) for number in numbers] + [odd_text], dtype=object)
    assert odd[0].texts == (odd_text,)
    assert column.tolist()[:-1] == numbers
