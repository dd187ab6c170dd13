"""One aggregation by the keys of a Spark table tells their rows, last times, and which features copy the target."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows
from sklearn.linear_model import Ridge

import metamodel
from metamodel.tables.spark import column_types
from metamodel.training.engines.spark.distinct_keys import DistinctKeys, distinct_keys

pytestmark = pytest.mark.spark


def table() -> pd.DataFrame:
    """Give two groups and rows of none; in the first a feature is the target, in the second another one nearly is."""
    rng = np.random.default_rng(0)
    shop, y = np.repeat(["a", "b", None], 40), rng.normal(size=120)
    frame = pd.DataFrame({"shop": shop, "week": np.tile(pd.date_range("2026-01-05", periods=40, freq="7D"), 3), "y": y})
    frame = frame.assign(once=np.where(frame["shop"] == "a", 2 - 3 * y, rng.normal(size=120)), never=y + np.arange(120))
    frame = frame.assign(label=np.where(y > 0, "dear", "fair"), flag=y > 0, one=1.0)
    frame["a.b`c"] = frame["label"].where(frame["shop"] != "b", "dear")
    frame.loc[[3, 50, 90], ["once", "label"]] = np.nan
    return frame


def known(
    frame: Any, features: list[str], target: str, time: str | None = None, *, of_numbers: bool = True
) -> tuple[DistinctKeys, dict[Any, Any]]:
    found = distinct_keys(frame, ["shop"], column_types(frame), features, target, time, of_numbers=of_numbers)
    keys = found.keys.column("shop").to_pylist()
    return found, {key: row for key, row in zip(keys, found.copies.to_pylist(), strict=True)}


def test_rows_last_times_and_copies_are_counted_in_one_query(spark: Any) -> None:
    frame = spark.createDataFrame(table())
    jobs = spark.sparkContext._jsc.sc().dagScheduler()
    before = jobs.numTotalJobs()
    found, copies = known(frame, ["once", "never", "one", "label", "flag"], "y", "week")
    assert jobs.numTotalJobs() - before <= 2
    assert found.rows.tolist() == [40, 40, 40]
    assert found.last.num_columns == 1
    last = found.last.column(0).to_pandas().dt.tz_convert(spark.conf.get("spark.sql.session.timeZone"))
    assert set(last.dt.strftime("%F")) == {"2026-10-05"}
    # Neither texts nor truth values are looked at beside a target of numbers.
    one_of = {"never": False, "one": False}
    assert copies == {"a": {"once": True, **one_of}, "b": {"once": False, **one_of}, None: {"once": False, **one_of}}


def test_labels_are_compared_with_features_of_their_own_kind(spark: Any) -> None:
    frame = spark.createDataFrame(table())
    found, copies = known(frame, ["once", "a.b`c", "flag"], "label", of_numbers=False)
    assert copies == {key: {"a.b`c": key != "b"} for key in ("a", "b", None)}
    assert found.last.num_columns == 0
    assert known(frame, ["a.b`c", "flag"], "flag", of_numbers=False)[1]["a"] == {"flag": True}


def test_numbers_in_a_target_of_texts_are_compared_where_it_is_taken_for_numbers(spark: Any) -> None:
    texts = table().assign(y=lambda rows: " " + rows["y"].astype(str))
    texts.loc[7, "y"] = "none"  # said later, with the row
    _, copies = known(spark.createDataFrame(texts), ["once", "never", "label"], "y")
    assert copies == {key: {"once": key == "a", "never": False} for key in ("a", "b", None)}


def test_a_regression_of_texts_tells_of_copies_within_groups_as_on_this_machine(spark: Any) -> None:
    frame = table().dropna(subset=["shop", "once"]).assign(y=lambda rows: rows["y"].astype(str))
    options = {"features": ["once", "never"], "n_jobs": 1}
    here = metamodel.train(frame, "shop", "y", Ridge(), **options)
    there = metamodel.train(spark.createDataFrame(frame), "shop", "y", Ridge(), engine="spark", **options)
    assert [finding.check for finding in here.findings] == ["leakage"]
    assert there.findings == here.findings


def test_few_rows_and_decimals_and_texts_as_times(spark: Any) -> None:
    rows = [("a", Decimal(i), float(i), str(i)) for i in range(40)] + [("b", Decimal(i), float(i), "1") for i in (1, 2)]
    frame = spark.createDataFrame(rows, "shop string, cents decimal(10,2), y double, week string")
    found, copies = known(frame.withColumn("nested", F.array("y")), ["cents", "nested"], "y", "week")
    assert copies == {"a": {"cents": True}, "b": {"cents": False}}  # two rows are always on a line
    assert found.last.num_columns == 0
