"""Count in the columns of a Spark table: one pass over its rows, for the plan and for the data checks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.checks import COPY_CORRELATION, COPY_ROWS, ColumnFacts
from metamodel.tables.spark import TYPE_EXAMPLES, column

__all__ = ["NUMBERS", "ColumnCounts", "CountedColumns", "count_columns", "plain_kinds", "present"]

_FLOATS = ("float", "double")

# Spark's words for numbers, as `plain_kinds` gives them.
NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


class ColumnCounts(NamedTuple):
    """Values of one column: in the whole table, and in rows with a key."""

    values: int
    keyed: int


class CountedColumns(NamedTuple):
    """Rows of a table, and those with a key; the counts of each column, and what the data checks need of some."""

    total: int
    keyed: int
    columns: dict[str, ColumnCounts]
    facts: dict[str, ColumnFacts]


def count_columns(
    frame: DataFrame, kinds: Mapping[str, str], features: Sequence[str], target: str, keyed: Column
) -> CountedColumns:
    """Count, in one aggregation, what `metamodel.tables.checks.table_facts` counts, and values in rows with a key.

    Parameters
    ----------
    frame
        The table.
    kinds
        Spark's word for the type of each column to count in.
    features, target
        Columns that the data checks look at. What is of a type that they know nothing of, or is to be compared with a
        target of such a type, is counted alone: Spark cannot tell the least of two maps.
    keyed
        Whether a row belongs to a group.
    """
    plain = plain_kinds(kinds)
    takable = {name for name, kind in plain.items() if kind in TYPE_EXAMPLES or kind == "decimal"}
    checked = [name for name in dict.fromkeys([*features, target]) if {name, target} <= takable]
    # Each expression is a call of Java's, and most columns are looked at several times.
    values = {name: F.when(present(name, kind), column(name)) for name, kind in plain.items()}
    aggregates = [F.count(F.lit(1)), F.count(F.when(keyed, F.lit(1)))]
    for value in values.values():
        aggregates += [F.count(value), F.count(F.when(keyed, value))]
    aggregates += [aggregate for name in checked for aggregate in _facts(values, name, target, plain)]
    row = list(frame.agg(*(aggregate.alias(f"c{i}") for i, aggregate in enumerate(aggregates))).collect()[0])
    columns = {name: ColumnCounts(*row[2 + 2 * i : 4 + 2 * i]) for i, name in enumerate(plain)}
    figures = row[2 + 2 * len(plain) :]
    facts = {name: ColumnFacts(columns[name].values, constant=False) for name in dict.fromkeys([*features, target])}
    for i, name in enumerate(checked):
        low, high, infinite, shared, likeness = figures[5 * i : 5 * i + 5]
        known_values = columns[name].values
        constant = known_values > 1 and low == high
        alike = likeness is not None and abs(likeness) >= COPY_CORRELATION
        copies = name != target and not constant and not infinite and shared >= COPY_ROWS and alike
        facts[name] = ColumnFacts(known_values, constant, infinite, copies)
    return CountedColumns(row[0], row[1], columns, facts)


def plain_kinds(kinds: Mapping[str, str]) -> dict[str, str]:
    """Give Spark's words for types without what follows in brackets, as a decimal's digits."""
    return {name: kind.partition("(")[0] for name, kind in kinds.items()}


def present(name: str, kind: str) -> Column:
    """Whether a row has a value of a column; to Spark NaN is one, to pandas it is none."""
    there = column(name).isNotNull()
    return there & ~F.isnan(column(name)) if kind in _FLOATS else there


def _facts(values: Mapping[str, Column], name: str, target: str, kinds: Mapping[str, str]) -> Iterator[Column]:
    """Lowest value, highest, infinite ones, rows shared with the target, and the likeness to it there."""
    value, one = values[name], F.lit(1)
    yield F.min(value)
    yield F.max(value)
    infinite = value.isin(float("inf"), float("-inf")) if kinds[name] in _FLOATS else F.lit(False)
    yield F.count(F.when(infinite, one))
    both = value.isNotNull() & values[target].isNotNull()
    yield F.count(F.when(both, one))
    x, y = F.when(both, value), F.when(both, values[target])
    if kinds[name] in NUMBERS and kinds[target] in NUMBERS:
        yield F.corr(x.cast("double"), y.cast("double"))
    elif kinds[target] not in NUMBERS:
        yield F.min((x.cast("string") == y.cast("string")).cast("double"))
    else:
        yield F.max(F.lit(0.0))  # an aggregation must hold aggregates
