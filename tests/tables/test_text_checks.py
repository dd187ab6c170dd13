"""Columns of texts that hold something else are told before anything is fitted."""

import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.tables.text_checks import is_index, odd_text, text_facts

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
