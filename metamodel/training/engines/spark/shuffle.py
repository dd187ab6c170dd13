"""Bring the rows of every group together: one shuffle, planned by the driver.

A broadcast join writes the task's number beside every row; within a task rows are sorted by group and stand in the
table's order. Only the needed columns travel, and keys do not.
"""

from collections.abc import Mapping
from functools import reduce
from operator import and_

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.evaluation.holdout import child_ids
from metamodel.tables.keys import GroupKey
from metamodel.tables.spark import column, with_plain_names
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.spark.placement import Placement, Seat
from metamodel.training.engines.spark.profile import SparkPlan
from metamodel.training.engines.spark.worker import CHILD, START

__all__ = ["rows_by_group"]

_GROUP, _TASK, _ROW = "__metamodel_group", "__metamodel_task", "__metamodel_row"


def rows_by_group(plan: SparkPlan, placement: Placement, starts: Starts | None = None) -> DataFrame:
    """Bring the rows of every group of a placement together, a partition for each task.

    Parameters
    ----------
    plan
        With the table.
    placement
        Which task fits which group.
    starts
        What fits go on from; None where they start from nothing.

    Returns
    -------
    DataFrame
        The group's number, then the columns of `plan.dtypes` in their order, `CHILD`, and with starts `START`.
    """
    seats = _seats(plan, placement.seats)
    right = plan.frame.sparkSession.createDataFrame(seats)
    same = [column(name).eqNullSafe(F.col(f"__metamodel_key_{i}")) for i, name in enumerate(plan.keys.names)]
    data = [*(column(name) for name in plan.dtypes), F.col(CHILD)]
    numbered = plan.frame.withColumn(_ROW, F.monotonically_increasing_id())
    together = numbered.join(F.broadcast(right), reduce(and_, same)).select(_GROUP, _TASK, _ROW, *data)
    if starts is not None:
        together = _with_starts(together, placement.seats, starts)
    ordered = together.repartitionById(placement.tasks, _TASK).sortWithinPartitions(_GROUP, _ROW)
    return with_plain_names(ordered.drop(_TASK, _ROW))


def _seats(plan: SparkPlan, seats: Mapping[GroupKey, Seat]) -> pa.Table:
    """Say for the group columns' values, as Spark holds them, which groups of all levels they are in: a row for each.

    One read of the table gives the rows of every level.
    """
    levels = [len(plan.keys.columns), *plan.levels]
    placed = [
        (i, key, seats[key[:level]])
        for level in levels
        for i, key in enumerate(plan.keys_of_raw)
        if key is not None and key[:level] in seats
    ]
    raw = plan.raw_keys.take(pa.array([i for i, _, _ in placed], type=pa.int64()))
    groups, tasks = ([seat[i] for _, _, seat in placed] for i in (0, 1))
    arrays = [*raw.columns, pa.array(groups, pa.int32()), pa.array(tasks, pa.int32())]
    arrays.append(pa.array(child_ids(key for _, key, _ in placed)))
    names = [*(f"__metamodel_key_{i}" for i in range(raw.num_columns)), _GROUP, _TASK, CHILD]
    return pa.table(arrays, names=names)


def _with_starts(rows: DataFrame, seats: Mapping[GroupKey, Seat], starts: Starts) -> DataFrame:
    """Add one row a group that holds the earlier child which its fit goes on from, and nothing else."""
    of_groups = starts.of(seats)
    groups, tasks = ([seats[key][i] for key in of_groups] for i in (0, 1))
    places = [-1] * len(of_groups)  # before every row of the table
    packed = [start.to_bytes() for start in of_groups.values()]
    arrays = [pa.array(groups, pa.int32()), pa.array(tasks, pa.int32()), pa.array(places, pa.int64())]
    table = pa.table([*arrays, pa.array(packed, pa.binary())], names=[_GROUP, _TASK, _ROW, START])
    return rows.unionByName(rows.sparkSession.createDataFrame(table), allowMissingColumns=True)
