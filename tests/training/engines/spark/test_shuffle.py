"""One shuffle brings the rows of every group together."""

import math
from pathlib import Path
from typing import Any

import pytest
from spark_tables import odd_groups, stored

from metamodel.training.engines.phases import Phase
from metamodel.training.engines.spark.engine import SparkEngine
from metamodel.training.engines.spark.placement import Placement
from metamodel.training.engines.spark.shuffle import rows_by_group
from metamodel.training.options import TrainingOptions

pytestmark = pytest.mark.spark


def test_every_task_is_a_partition_of_its_own_and_only_needed_columns_travel(spark: Any, tmp_path: Path) -> None:
    path = stored(odd_groups().dropna().assign(unused=1.0), tmp_path)
    plan = SparkEngine(path, TrainingOptions.create("store", target="y", engine="spark"), "ridge", None, ["x"]).plan
    rows = rows_by_group(plan, Placement.of(Phase(plan.sizes, {}, math.inf), parallelism=2))

    # A number for the group, x, y, and a number for the group of all columns, by which equal rows are told apart.
    assert len(rows.columns) == 4
    executed = rows._jdf.queryExecution().executedPlan().toString()
    assert "unused" not in executed
    # By number, not by hash: adaptive execution leaves such a shuffle alone.
    assert "REPARTITION_BY_NUM" in executed


def test_the_rows_of_all_levels_come_of_one_read_in_the_order_of_the_table(spark: Any, tmp_path: Path) -> None:
    frame = odd_groups().dropna().assign(country=lambda frame: frame["store"] // 3, x=lambda frame: range(len(frame)))
    path, options = stored(frame, tmp_path), {"target": "y", "engine": "spark", "unknown": "fallback"}
    plan = SparkEngine(path, TrainingOptions.create(["country", "store"], **options), "ridge", None, ["x"]).plan
    placement = Placement.of(Phase(plan.sizes_of_all_levels(), {}, math.inf), parallelism=2)
    rows = rows_by_group(plan, placement)

    executed = rows._jdf.queryExecution().executedPlan().toString()
    assert (executed.count("FileScan"), executed.count("BroadcastExchange")) == (1, 1)
    sorted_rows: Any = rows.toPandas()
    found = sorted_rows.groupby("column_0")["column_1"].agg(list)
    of_keys = {(): frame, **dict(iter(frame.groupby(["country"]))), **dict(iter(frame.groupby(["country", "store"])))}
    assert {placement.keys[number]: x for number, x in found.items()} == {
        tuple(map(int, key)): of_key["x"].tolist() for key, of_key in of_keys.items()
    }
