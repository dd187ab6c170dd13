"""Functions of time alone: what Spark finds is what is found in memory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.time_functions import functions_of_time as in_memory
from metamodel.training.engines.spark.of_time import spark_functions_of_time

pytestmark = pytest.mark.spark


def test_spark_finds_the_functions_of_time_that_are_found_in_memory(spark: Any) -> None:
    time = np.repeat(np.arange(6), 4)
    odd = np.arange(24) % 2 == 0
    frame = pd.DataFrame(
        {
            "t.ime": time,
            "month": time // 3,
            "price": np.arange(24.0),
            "constant": 1.0,
            "some missing": np.where(time == 2, np.nan, time * 2.0),
            "half missing": np.where((time == 2) & odd, np.nan, time * 2.0),
            "season": np.array(["a", "b", "a", "b", "c", "c"])[time],
            "needed": np.where(time == 5, None, "x"),
        }
    )
    frame.loc[(frame["t.ime"] == 5) & odd, "month"] = 7
    names = ["month", "price", "constant", "some missing", "half missing", "season"]

    found = spark_functions_of_time(spark.createDataFrame(frame), names, "t.ime", ["needed"])

    kept = frame[frame["needed"].notna()]
    assert found == in_memory(DriftColumns.of({name: kept[name] for name in names}), kept["t.ime"].to_numpy())
    assert found == {"month", "some missing", "season"}


def test_of_rows_of_different_times_nothing_is_said(spark: Any) -> None:
    frame = pd.DataFrame({"time": [1, 2, 3], "x": [1.0, 2.0, 3.0]})

    assert spark_functions_of_time(spark.createDataFrame(frame), ["x"], "time", []) is None
    assert in_memory(DriftColumns.of({"x": frame["x"]}), frame["time"].to_numpy()) is None
