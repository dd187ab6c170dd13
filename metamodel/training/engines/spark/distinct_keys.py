"""The distinct keys of a Spark table, and all that one aggregation by them tells the plan and the data checks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.common.arrays import IntArray
from metamodel.tables.checks import COPY_CORRELATION, COPY_ROWS
from metamodel.tables.spark import column, example_of
from metamodel.training.engines.spark.column_counts import NUMBERS, plain_kinds, present
from metamodel.training.engines.spark.newest import last_time

__all__ = ["DistinctKeys", "distinct_keys"]

# Targets that a regression takes for numbers; it refuses others.
_READ_AS_NUMBERS = (*NUMBERS, "string", "boolean")


class DistinctKeys(NamedTuple):
    """What is known of each distinct key of a table; all have one length.

    Attributes
    ----------
    rows
        Its rows, shape (n_keys,).
    keys
        The values of the group columns, as Spark holds them.
    last
        The last time, in one column; none where there are no times, or texts.
    copies
        By feature: whether it is the target, or a linear copy of it, among the rows of the key. Where the target is
        taken for numbers, of features that are numbers; else of those of its own type.
    """

    rows: IntArray
    keys: pa.Table
    last: pa.Table
    copies: pa.Table


def distinct_keys(
    frame: DataFrame,
    group_by: Sequence[str],
    kinds: Mapping[str, str],
    features: Sequence[str],
    target: str,
    time: str | None,
    *,
    of_numbers: bool,
) -> DistinctKeys:
    """Aggregate a table by its keys.

    Parameters
    ----------
    frame
        The table.
    group_by
        Group columns.
    kinds
        Spark's word for the type of each of the other columns.
    features, target, time
        Names of columns.
    of_numbers
        Whether the target is taken for numbers: also texts are that, under regression.
    """
    aggregates = [F.count(F.lit(1)).alias("__metamodel_rows")]
    # That others are no times is said later, in better words than Spark's.
    if time is not None and kinds[time] != "string" and not isinstance(example_of(kinds[time]), list):
        aggregates.append(last_time(time))
    plain = plain_kinds(kinds)
    alike = NUMBERS if of_numbers and plain[target] in _READ_AS_NUMBERS else {plain[target]} & {"string", "boolean"}
    compared = [name for name in features if plain[name] in alike]
    tests = [_is_copy(name, target, plain, of_numbers).alias(f"__metamodel_{i}") for i, name in enumerate(compared)]
    table = frame.groupBy(*(column(name) for name in group_by)).agg(*aggregates, *tests).toArrow()
    width, first_test = len(group_by), table.num_columns - len(tests)
    return DistinctKeys(
        table.column(width).to_numpy(),
        table.select(list(range(width))),
        table.select(list(range(width + 1, first_test))),
        table.select(list(range(first_test, table.num_columns))).rename_columns(compared),
    )


def _is_copy(name: str, target: str, kinds: Mapping[str, str], of_numbers: bool) -> Column:
    both = present(name, kinds[name]) & present(target, kinds[target])
    x, y = column(name), column(target)
    if of_numbers:
        # What is no number in a target of texts is refused later, with its example.
        likeness = F.abs(F.corr(F.when(both, x.cast("double")), F.when(both, y.try_cast("double"))))
        alike = (likeness >= COPY_CORRELATION) & ~F.isnan(likeness)  # to Spark NaN is the largest number
    else:
        alike = F.min(F.when(both, x.cast("string") == y.cast("string")).cast("int")) == 1
    return F.coalesce(alike & (F.count(F.when(both, F.lit(1))) >= COPY_ROWS), F.lit(False))
