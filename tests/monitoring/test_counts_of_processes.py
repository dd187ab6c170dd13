"""Counts of four processes, and of Spark's workers, are those of one pass; coverage comes from them, too."""

from pathlib import Path
from typing import Any

import forked_programs
import numpy as np
import pandas as pd
import pytest
from monitored import changed, weeks

import metamodel
from metamodel.evaluation.drift.window_counts import INTERVALS, OUTSIDE, WindowCounts
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.spark import count_on_spark
from metamodel.monitoring.window_baselines import reference_for
from metamodel.monitoring.window_names import windows_of
from metamodel.prediction_log.count_files import read_counts, write_counts

_PROGRAM = """
import sys
from pathlib import Path
import pandas as pd
import metamodel
sys.path.append(sys.argv.pop(1))
from test_counts_of_processes import counted
from metamodel.prediction_log.count_files import write_counts

bundle, rows, counts = sys.argv[1:]
write_counts(counted(metamodel.MetaModel(bundle), pd.read_parquet(rows)), Path(counts))
"""


def counted(model: metamodel.MetaModel, frame: pd.DataFrame) -> WindowCounts:
    """Count the rows of a window in the bins of the training."""
    reference = reference_for(model, "training")
    return next(count_table(model, reference, frame, frame["sales"], windows_of(frame, "week", None, []))).counts


def assert_same(one: WindowCounts, other: WindowCounts) -> None:
    one, other = (WindowCounts.together([counts]) for counts in (one, other))
    for name in ("keys", "columns", "window", "of_time", "unreadable", "absent"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("bins", "counts", "totals"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_four_processes_count_what_one_pass_counts_and_the_window_is_judged_the_same(
    model: metamodel.MetaModel, tmp_path: Path
) -> None:
    """Each opens the model by itself, and knows nothing of the others."""
    table = changed("2026-03-02", 4).sample(frac=1, random_state=0)
    here = str(Path(__file__).parent)
    processes, files = [], [tmp_path / f"{part}.parquet" for part in range(4)]
    for part, file in enumerate(files):
        rows = tmp_path / f"rows-{part}.parquet"
        table.iloc[part::4].to_parquet(rows)
        arguments = here, str(model.bundle.path), str(rows), str(file)
        processes.append(forked_programs.start("program_text", _PROGRAM, *arguments))
    assert [process.wait(timeout=250) for process in processes] == [0, 0, 0, 0]

    assert_same(WindowCounts.together([read_counts(file) for file in files]), counted(model, table))
    of_counts, of_rows = metamodel.monitor(model, files), metamodel.monitor(model, table)
    for name in ("groups", "columns", "cells", "slices", "incidents", "retrain"):
        pd.testing.assert_frame_equal(getattr(of_counts, name), getattr(of_rows, name))
    groups = of_counts.groups.set_index("key")
    assert groups.loc['["DE",3]', "coverage"] < 0.7 < groups.drop('["DE",3]')["coverage"].min()


def test_coverage_alarms_from_counts_where_nothing_but_the_intervals_is_wrong(
    model: metamodel.MetaModel, tmp_path: Path
) -> None:
    table = weeks(1, 3)
    answers = model.predict(table)
    narrow = (table["shop"] == 3).to_numpy()
    table = table.assign(prediction=answers["prediction"], lower=answers["lower"], upper=answers["upper"])
    table.loc[narrow, ["lower", "upper"]] = table.loc[narrow, ["prediction", "prediction"]].to_numpy()

    counts = counted(model, table)
    write_counts(counts, tmp_path / "counts.parquet")
    found = metamodel.monitor(model, [tmp_path / "counts.parquet"])

    group = counts.keys.index('["DE",3]')
    assert counts.totals[group, [INTERVALS, OUTSIDE]].tolist() == [30, 30]
    groups = found.groups.set_index("key")
    assert (groups.loc['["DE",3]', "coverage"], groups.loc['["DE",3]', "status"]) == (0.0, "performance")
    assert set(groups.drop('["DE",3]')["status"]) == {"ok"}


@pytest.mark.spark
def test_counts_of_spark_are_those_of_one_pass(spark: Any, model: metamodel.MetaModel) -> None:
    table = changed("2026-03-02", 4)
    table["price"] = table["price"].mask(table.index % 11 == 0)

    (on_spark,) = count_on_spark(model, reference_for(model, "training"), spark.createDataFrame(table), "1w")

    assert_same(on_spark, counted(model, table))
