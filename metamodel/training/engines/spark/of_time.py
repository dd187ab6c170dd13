"""Which columns of a Spark table are functions of time alone: one aggregation by time, and one over its answers."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.spark import column, column_types
from metamodel.training.engines.spark.column_counts import present

__all__ = ["spark_functions_of_time"]


def spark_functions_of_time(
    frame: DataFrame, names: Sequence[str], time: str, needed: Sequence[str]
) -> frozenset[str] | None:
    """Find what `metamodel.evaluation.drift.time_functions.functions_of_time` finds.

    Parameters
    ----------
    frame
        The rows.
    names
        Columns to look at.
    time
        The time column.
    needed
        Columns without which a row does not count.

    Returns
    -------
    frozenset of str, or None
        None where no two rows are of one time, so that nothing can be said.
    """
    kinds = column_types(frame)
    rows = F.count(F.lit(1)).alias("rows")
    for name in needed:
        frame = frame.where(present(name, kinds[name]))
    by_time = frame.groupBy(column(time)).agg(
        rows, *(a for i, name in enumerate(names) for a in _values(i, name, kinds))
    )
    aggregates = [F.max("rows"), F.sum("rows"), *(a for i in range(len(names)) for a in _verdict(i))]
    shared, total, *figures = by_time.agg(*(figure.alias(f"c{i}") for i, figure in enumerate(aggregates))).collect()[0]
    if not shared or shared < 2:
        return None
    told = set()
    for i, name in enumerate(names):
        one_value, low, high, values = figures[4 * i : 4 * i + 4]
        constant = not values or (low == high and values == total)
        if one_value and not constant:
            told.add(name)
    return frozenset(told)


def _values(i: int, name: str, kinds: dict[str, str]) -> list[Column]:
    value = F.when(present(name, kinds[name]), column(name))
    return [F.min(value).alias(f"low{i}"), F.max(value).alias(f"high{i}"), F.count(value).alias(f"there{i}")]


def _verdict(i: int) -> list[Column]:
    """Whether all rows of each time are alike; the lowest and the highest value, and how many there are."""
    low, high, there = (F.col(f"{name}{i}") for name in ("low", "high", "there"))
    alike = (there == 0) | ((there == F.col("rows")) & (low == high))
    return [F.min(alike.cast("int")), F.min(low), F.max(high), F.sum(there)]
