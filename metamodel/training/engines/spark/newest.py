"""Where in time the last row of each group of a Spark table is, and how many rows are newer than a point of time.

Both are counted per key and time by Spark; what the texts and types of a time column mean is decided here, on the
driver, by the code that every engine uses.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.splits import time_order
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.grouping import group_rows
from metamodel.tables.keys import GroupKey, KeySchema
from metamodel.tables.spark import column

if TYPE_CHECKING:
    from metamodel.training.engines.spark.profile import SparkPlan

__all__ = ["exact_dtype", "fresh_rows", "last_time", "newest_of_texts", "newest_rows"]

_ROWS, _TIME = "__metamodel_rows", "__metamodel_time"


def exact_dtype(field: pa.Field) -> str:
    """Choose a pandas dtype for key values that loses nothing beside a null."""
    if pa.types.is_integer(field.type):
        return f"Int{field.type.bit_width}"
    if pa.types.is_floating(field.type):
        return f"float{field.type.bit_width}"
    if pa.types.is_timestamp(field.type):
        return "datetime64[us, UTC]" if field.type.tz else "datetime64[us]"
    return "object"


def newest_rows(groups: Sequence[GroupKey | None], last: pa.Table, dtype: str) -> dict[GroupKey, float | int]:
    """Find where in time the last row of each group of all columns is.

    Parameters
    ----------
    groups
        The group of each distinct key, None where it is none.
    last
        The last time of each of these keys, in one column: `last_time`.
    dtype
        Its pandas dtype.
    """
    known = [i for i, key in enumerate(groups) if key is not None]
    times = arrow_to_pandas(last.take(pa.array(known, pa.int64())), {_TIME: dtype})[_TIME]
    return _newest([groups[i] for i in known], time_order(times, _TIME).tolist())


def last_time(name: str) -> Column:
    """Aggregate a column of times, which are no texts: the last text of a column is not always the latest one."""
    return F.max(column(name)).alias(_TIME)


def newest_of_texts(
    frame: DataFrame, keys: KeySchema, time: str, dtype: str, texts: Mapping[str, int]
) -> dict[GroupKey, float | int]:
    """Find where in time the last row of each group of all columns is, where times are texts.

    Parameters
    ----------
    frame
        The rows.
    keys
        The group columns.
    time, dtype
        The time column, and its pandas dtype.
    texts
        Their order.
    """
    grouped, points = _counted(frame, keys, [column(time).alias(_TIME)], None, dtype, texts)
    return _newest(grouped, points.tolist())


def _newest(groups: Sequence[Any], points: Sequence[float | int]) -> dict[GroupKey, float | int]:
    newest: dict[GroupKey, float | int] = {}
    for key, point in zip(groups, points, strict=True):
        if isinstance(key, tuple):
            newest[key] = max(point, newest.get(key, point))
    return newest


def fresh_rows(plan: "SparkPlan", through: Mapping[GroupKey, float | int]) -> dict[GroupKey, int]:
    """Count the rows of some groups, of any level, that are newer than a point of time of each.

    One row for each group and time comes to the driver.
    """
    name = plan.options.time_column
    assert name is not None
    number = F.count(F.lit(1)).alias(_ROWS)
    by_time = [column(name).alias(_TIME)]
    grouped, points, counts = _counted(plan.frame, plan.keys, by_time, number, plan.dtypes[name], plan.times)
    fresh: Counter[GroupKey] = Counter()
    for key, point, rows in zip(grouped, points.tolist(), counts.tolist(), strict=True):
        if not isinstance(key, tuple):
            continue
        for level in (len(key), *plan.levels):
            limit = through.get(key[:level])
            if limit is not None and point > limit:
                fresh[key[:level]] += rows
    return {key: fresh[key] for key in through}


def _counted(
    frame: DataFrame,
    keys: KeySchema,
    by: list[Column],
    aggregate: Column | None,
    dtype: str,
    texts: Mapping[str, int] | None,
) -> tuple[Any, ...]:
    """Aggregate; returns each row's group, its point of time, and the count where there is one."""
    columns = [*(column(name) for name in keys.names), *by]
    grouped = frame.groupBy(*columns)
    table = (grouped.agg(aggregate) if aggregate is not None else frame.select(*columns).distinct()).toArrow()
    raw = table.select(keys.names)
    dtypes = {field.name: exact_dtype(field) for field in raw.schema}
    grouping = group_rows(arrow_to_pandas(raw, dtypes), keys)
    times = arrow_to_pandas(table.select([_TIME]), {_TIME: dtype})[_TIME]
    points: AnyArray = pd.Series(times).map(dict(texts)).to_numpy() if texts is not None else time_order(times, _TIME)
    every = [grouping.keys[code] for code in grouping.codes]
    return (every, points, table.column(_ROWS).to_numpy()) if _ROWS in table.column_names else (every, points)
