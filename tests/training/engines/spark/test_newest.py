"""Where in time each group's last row is, is found on Spark as on this machine, and costs no pass of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spark_tables import stored

from metamodel.exceptions import InputError
from metamodel.training.engines.local import LocalEngine
from metamodel.training.engines.spark.engine import SparkEngine
from metamodel.training.options import TrainingOptions


def visits() -> pd.DataFrame:
    """Rows of three shops in no order of time, and one of none, which is the last of all."""
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.permutation(60), unit="D")
    shops = pd.Series(["a", "b", "c"] * 20, dtype=object).mask(days == days.max())
    return pd.DataFrame({"shop": shops, "day": days.astype("datetime64[us]"), "x": rng.normal(size=60), "y": 1.0})


def plan_of(engine: Any, table: Any, name: str, time_column: str | None = "day") -> Any:
    options = TrainingOptions.create("shop", target="y", time_column=time_column, null_keys="drop", engine=name)
    return engine(table, options, "ridge", None, ["x"]).plan


TIMES = {
    "times": lambda day: day,
    "numbers": lambda day: (day - pd.Timestamp("2026-01-01")).dt.days / 2,
    "texts of which the last is not the latest": lambda day: day.dt.strftime("%d.%m.%Y"),
    "dates": lambda day: day.dt.date,
}


@pytest.mark.parametrize("kind", TIMES)
def test_the_last_row_of_each_group_is_found_as_on_this_machine(spark: Any, tmp_path: Path, kind: str) -> None:
    path = stored(visits().assign(day=lambda frame: TIMES[kind](frame["day"])), tmp_path)
    here = plan_of(LocalEngine, path, "local").newest
    assert len(here) == 3
    assert plan_of(SparkEngine, path, "spark").newest == here


def test_the_last_times_come_with_the_keys(spark: Any) -> None:
    table, jobs = spark.createDataFrame(visits()), []
    for time_column in (None, "day"):
        before = spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs()
        plan_of(SparkEngine, table, "spark", time_column)
        jobs.append(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs() - before)
    assert jobs[0] == jobs[1] > 0


def test_what_is_no_time_is_refused_in_our_own_words(spark: Any) -> None:
    table = spark.createDataFrame(visits()).selectExpr("shop", "map('a', x) AS day", "x", "y")
    with pytest.raises(InputError, match="Time column 'day' has"):
        plan_of(SparkEngine, table, "spark")
