"""How earlier children reach Spark's workers: each as one more row of its own group."""

from collections.abc import Mapping

import pyarrow as pa
from pyspark.sql import DataFrame

from metamodel.tables.keys import GroupKey
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.spark.worker import START

__all__ = ["with_starts"]


def with_starts(
    rows: DataFrame, seats: Mapping[GroupKey, tuple[int, int]], starts: Starts, columns: tuple[str, str, str]
) -> DataFrame:
    """Add one row a group that holds the child which its fit goes on from, and nothing else.

    Parameters
    ----------
    rows
        Rows of all groups.
    seats
        Each group's number and its task.
    starts
        What they go on from.
    columns
        Names of the columns for the group's number, its task, and the row's place in the table.
    """
    numbers, tasks = zip(*seats.values(), strict=True)
    places = [-1] * len(seats)  # before every row of the table
    arrays = [pa.array(numbers, pa.int32()), pa.array(tasks, pa.int32()), pa.array(places, pa.int64())]
    packed = [start.to_bytes() for start in starts.of(seats).values()]
    table = pa.table([*arrays, pa.array(packed, pa.binary())], names=[*columns, START])
    return rows.unionByName(rows.sparkSession.createDataFrame(table), allowMissingColumns=True)
