"""One pass over a Spark table counts what the plan and the data checks need."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

import metamodel
from metamodel.tables.checks import ColumnFacts, table_facts
from metamodel.tables.spark import column_types
from metamodel.training.engines.spark.column_counts import count_columns

pytestmark = pytest.mark.spark


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.normal(size=40), "key": np.where(np.arange(40) < 30, "a", None)})
    frame = frame.assign(copied=-3 * frame["y"] + 1, one=7.0, text="t", noise=rng.normal(size=40))
    frame.loc[[2, 35], "noise"] = [np.inf, np.nan]
    return frame.assign(**{"a.b`c": frame["noise"].clip(upper=9)})


def test_facts_are_those_of_this_machine_and_values_are_counted_with_and_without_a_key(spark: Any) -> None:
    frame = table()
    names = [name for name in frame if name not in ("y", "key")]
    on_spark = spark.createDataFrame(frame).withColumn("nested", F.create_map(F.lit("a"), F.lit(1)))
    jobs = spark.sparkContext._jsc.sc().dagScheduler()
    before = jobs.numTotalJobs()
    found = count_columns(on_spark, column_types(on_spark), [*names, "nested"], "y", F.col("key").isNotNull())
    assert jobs.numTotalJobs() - before <= 2  # of one query: a part of the table at a time, and their sums
    assert (found.total, found.keyed) == (40, 30)
    assert found.columns["noise"] == (39, 30)
    assert found.columns["key"] == (30, 30)
    assert found.columns["nested"] == (40, 30)
    assert found.facts.pop("nested") == ColumnFacts(40, constant=False)
    assert found.facts == table_facts(frame, names, "y", ["key"]).columns
    assert [name for name, fact in found.facts.items() if fact.copies_target] == ["copied"]


def test_of_a_target_that_no_model_takes_nothing_is_compared(spark: Any) -> None:
    on_spark = spark.createDataFrame(table()).select("noise", F.array("y").alias("y"))
    found = count_columns(on_spark, column_types(on_spark), ["noise"], "y", F.lit(True))
    assert found.facts == {"noise": ColumnFacts(39, constant=False), "y": ColumnFacts(40, constant=False)}
    assert found.columns["y"] == (40, 40)


def test_a_feature_that_is_null_without_a_type_is_an_empty_one_as_on_this_machine(spark: Any) -> None:
    on_spark = spark.createDataFrame(table()).selectExpr("y", "copied", "key", "null as nothing")
    options = {"n_jobs": 1, "prune": False, "null_keys": "drop"}
    result = metamodel.train(on_spark, "key", "y", "ridge", features=["copied", "nothing"], engine="spark", **options)
    here = metamodel.train(table().assign(nothing=None), "key", "y", "ridge", features=["copied", "nothing"], **options)
    assert result.findings == here.findings
    pd.testing.assert_series_equal(result.ledger["status"], here.ledger["status"])
