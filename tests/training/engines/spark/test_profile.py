"""From a Spark table to a plan: the same decisions and refusals as for a table of this machine, without its rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from spark_tables import assert_same_ledger, both, odd_groups, stored

import metamodel
from metamodel.exceptions import InputError, InvalidKey


def test_times_of_rows_that_are_left_out_need_not_be_times(spark: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"store": list("aabb") * 10, "day": pd.date_range("2024-01-01", periods=40).astype(str)})
    frame = frame.assign(x=rng.normal(size=40), y=rng.normal(size=40))
    frame.loc[[3, 4], ["store", "day"]] = [[None, "never"], [None, None]]
    options = {"null_keys": "drop", "time_column": "day"}
    local, on_spark = both(frame, spark.createDataFrame(frame), "store", "y", **options)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.summary["rows_dropped"] == on_spark.summary["rows_dropped"] == 2


def test_null_keys_refuse_the_table_by_default(spark: Any) -> None:
    with pytest.raises(InvalidKey, match=r"3 rows of 20,061 belong to no group\..*null_keys"):
        metamodel.train(spark.createDataFrame(odd_groups()), "store", "y", engine="spark")


def test_classes_times_and_dates_are_as_on_this_machine(spark: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 200, 400), unit="D")
    frame = pd.DataFrame(
        {
            "shop": np.array(["a", "b"])[rng.integers(0, 2, 400)],
            "opened": np.array([d.date() for d in days[:4]], dtype=object)[rng.integers(0, 4, 400)],
            "x": x,
            "day": days.astype("datetime64[us]"),
            "y": np.where(x > 0, "dear", np.where(x > -1, "fair", None)),
        }
    )
    path = stored(frame, tmp_path)
    for time_column, data in (("day", path), ("day", stored(frame.astype({"day": str}), tmp_path))):
        local, on_spark = both(
            data, data, ["shop", "opened"], "y", LogisticRegression(), features=["x"], time_column=time_column
        )
        assert_same_ledger(local.ledger, on_spark.ledger)
        assert on_spark.manifest.target == local.manifest.target


def test_spark_frames_need_the_spark_engine(spark: Any) -> None:
    frame = spark.createDataFrame(pd.DataFrame({"shop": ["a"], "x": [1.0], "y": [1.0]}))
    with pytest.raises(InputError, match='Train with engine="spark"'):
        metamodel.train(frame, "shop", "y")
    with pytest.raises(InputError, match="lacks feature column 'z'"):
        metamodel.train(frame, "shop", "y", features=["z"], engine="spark")
    with pytest.raises(InputError, match="no rows"):
        metamodel.train(frame.limit(0), "shop", "y", engine="spark")
