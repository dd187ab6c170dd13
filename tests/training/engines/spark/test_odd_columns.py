"""Columns of texts in a Spark table are counted in one pass, and are numbers where they are so but for a few fields."""

from typing import Any

import pandas as pd
import pytest

import metamodel
from metamodel.tables.spark import read_spark
from metamodel.tables.text_checks import text_facts, without_odd_fields
from metamodel.training.engines.spark.odd_columns import count_texts, spark_without_odd_fields

pytestmark = pytest.mark.spark

NUMBERS = [str(i / 4) for i in range(300)]


def table() -> pd.DataFrame:
    frame = pd.DataFrame({"size": NUMBERS, "code": ["007", *NUMBERS[1:]], "x": 1.0, "a.b`c": ["red", "  ", None] * 100})
    frame["day"] = pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d")
    frame.loc[[7, 11], "size"] = ["-", "n.a."]
    frame.loc[[3, 4, 5], "day"] = None
    return frame


def test_texts_are_counted_in_one_query_as_on_this_machine(spark: Any) -> None:
    frame = table()
    on_spark = read_spark(spark.createDataFrame(frame))
    jobs = spark.sparkContext._jsc.sc().dagScheduler()
    before = jobs.numTotalJobs()
    counted = count_texts(on_spark, list(frame))
    assert jobs.numTotalJobs() - before <= 4  # of one query, whose shuffles are jobs of their own
    assert {name: of.facts for name, of in counted.items()} == {
        name: text_facts(frame[name]) for name in ("size", "code", "a.b`c", "day")
    }
    assert [(of.numbers, of.codes) for of in counted.values()] == [(298, 0), (300, 1), (0, 0), (0, 0)]
    assert counted["day"].facts.dates == 297
    assert count_texts(on_spark, ["x"]) == {}


def test_a_few_odd_fields_become_nulls_as_on_this_machine(spark: Any) -> None:
    frame = table()
    on_spark = read_spark(spark.createDataFrame(frame))
    read, odd_fields = spark_without_odd_fields(on_spark, count_texts(on_spark, list(frame)))
    here, odd_here, *_ = without_odd_fields(frame, list(frame))
    assert odd_fields == odd_here
    assert [odd.name for odd in odd_fields] == ["size"]
    pd.testing.assert_series_equal(read.frame.toPandas()["size"], here["size"])


@pytest.mark.parametrize("null_keys", ["group", "drop"])
def test_levels_are_those_of_rows_that_belong_to_a_group(spark: Any, null_keys: str) -> None:
    """Of 1,010 levels, 20 are in rows of no group: with them the column has so many that the target encodes it."""
    frame = pd.DataFrame({"level": [f"n{i:04}" for i in range(1010)] * 2, "shop": "a", "y": range(2020)})
    frame.loc[frame["level"] >= "n0990", "shop"] = None
    options = {"features": ["level"], "null_keys": null_keys, "n_jobs": 1}
    here = metamodel.train(frame, "shop", "y", "ridge", **options)
    there = metamodel.train(spark.createDataFrame(frame), "shop", "y", "ridge", engine="spark", **options)
    assert here.manifest.spec_digest == there.manifest.spec_digest
    assert here.ledger["params"].tolist() == there.ledger["params"].tolist()
    assert here.findings == there.findings
