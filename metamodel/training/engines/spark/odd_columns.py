"""`text_checks.without_odd_fields` in a Spark table: the same columns become numbers, with the same nulls."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.spark import SparkTable, column, column_types
from metamodel.tables.text_checks import LEADING_ZERO, MOST_ODD_TEXTS, PLAIN_NUMBER, OddFields, are_odd

__all__ = ["spark_without_odd_fields"]


def spark_without_odd_fields(table: SparkTable, names: Sequence[str]) -> tuple[SparkTable, list[OddFields]]:
    """Read columns of texts as numbers where that is what they are but for a few fields.

    One aggregation over all columns of texts, and one look at the odd texts of each column that has few odd fields.
    """
    types = column_types(table.frame.select(*(column(name) for name in names)))
    texts = [name for name in names if types[name] == "string"]
    if not texts:
        return table, []
    values = [column(name) for name in texts]
    alike = [(value, value.rlike(PLAIN_NUMBER), value.rlike(LEADING_ZERO)) for value in values]
    counted = [(F.count(value), F.count(F.when(number, 1)), F.count(F.when(code, 1))) for value, number, code in alike]
    flat = [aggregate.alias(f"c{i}") for i, aggregate in enumerate(chain.from_iterable(counted))]
    row = list(table.frame.agg(*flat).collect()[0])
    frame, every = table.frame, []
    for i, name in enumerate(texts):
        present, numbers, codes = row[3 * i : 3 * i + 3]
        if codes or not are_odd(numbers, present):
            continue
        value, is_number = column(name), column(name).rlike(PLAIN_NUMBER)
        odd = frame.where(~is_number).select(value).distinct().limit(MOST_ODD_TEXTS + 1).collect()
        if len(odd) <= MOST_ODD_TEXTS:
            every.append(OddFields(name, tuple(sorted(text for (text,) in odd)), present - numbers, present))
            frame = frame.withColumn(name, F.when(is_number, F.trim(value).cast("double")))
    return replace(table, frame=frame), every
