"""What is counted in the columns of texts of a Spark table, in one pass; and `text_checks.without_odd_fields` there.

The same columns as on this machine become numbers, with the same nulls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.spark import SparkTable, column, column_types
from metamodel.tables.text_checks import (
    DATE,
    LEADING_ZERO,
    MOST_ODD_TEXTS,
    NUMBER,
    PLAIN_NUMBER,
    OddFields,
    TextFacts,
    are_odd,
)

__all__ = ["CountedTexts", "count_texts", "spark_without_odd_fields"]


class CountedTexts(NamedTuple):
    """Counts of one column of texts: those of the data checks, plain numbers, and those that begin with a zero."""

    facts: TextFacts
    numbers: int
    codes: int


def count_texts(table: SparkTable, names: Sequence[str]) -> dict[str, CountedTexts]:
    """Count in all columns of texts among some, in one aggregation."""
    types = column_types(table.frame.select(*(column(name) for name in names)))
    texts = [name for name in names if types[name] == "string"]
    if not texts:
        return {}
    aggregates = [aggregate for name in texts for aggregate in _counts(column(name))]
    row = list(table.frame.agg(*(aggregate.alias(f"c{i}") for i, aggregate in enumerate(aggregates))).collect()[0])
    return {
        name: CountedTexts(TextFacts(*row[6 * i : 6 * i + 4]), *row[6 * i + 4 : 6 * i + 6])
        for i, name in enumerate(texts)
    }


def _counts(value: Column) -> list[Column]:
    """Count what `metamodel.tables.text_checks.text_facts` does, and two more."""
    blank = F.trim(value) == ""
    alike = [~blank & value.rlike(NUMBER), ~blank & value.rlike(DATE), value.rlike(PLAIN_NUMBER)]
    tests = [F.count(F.when(test, 1)) for test in (*alike, value.rlike(LEADING_ZERO))]
    return [F.count(value), F.count_distinct(value), *tests]


def spark_without_odd_fields(
    table: SparkTable, counted: Mapping[str, CountedTexts]
) -> tuple[SparkTable, list[OddFields]]:
    """Read columns of texts as numbers where that is what they are but for a few fields.

    One look at the odd texts of each column that has few odd fields.

    Parameters
    ----------
    table
        The table.
    counted
        What is counted in its columns of texts.
    """
    frame, every = table.frame, []
    for name, (facts, numbers, codes) in counted.items():
        if codes or not are_odd(numbers, facts.present):
            continue
        value, is_number = column(name), column(name).rlike(PLAIN_NUMBER)
        odd = frame.where(~is_number).select(value).distinct().limit(MOST_ODD_TEXTS + 1).collect()
        if len(odd) <= MOST_ODD_TEXTS:
            every.append(
                OddFields(name, tuple(sorted(text for (text,) in odd)), facts.present - numbers, facts.present)
            )
            frame = frame.withColumn(name, F.when(is_number, F.trim(value).cast("double")))
    return replace(table, frame=frame), every
