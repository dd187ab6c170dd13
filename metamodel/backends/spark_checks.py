"""What `metamodel.checks` needs to know of a Spark table: one aggregation, and the keys that the driver has anyway."""

from collections.abc import Iterator

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.backends.spark_plan import SparkPlan
from metamodel.checks import COPY_CORRELATION, COPY_ROWS, ColumnFacts, TableFacts
from metamodel.spark_tables import column

__all__ = ["spark_facts"]

_FLOATS, _NUMBERS = ("float", "double"), ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


def spark_facts(plan: SparkPlan) -> TableFacts:
    """Count in a Spark table; see `metamodel.checks.table_facts`."""
    kinds = {field.name: field.dataType.simpleString().partition("(")[0] for field in plan.frame.schema.fields}
    target = plan.options.target
    names = list(dict.fromkeys([*plan.features.names, target]))
    wanted = [one for name in names for one in _counts(name, target, kinds)]
    row = list(plan.frame.agg(*(one.alias(f"c{i}") for i, one in enumerate(wanted))).collect()[0])
    facts = {}
    for i, name in enumerate(names):
        present, low, high, infinite, shared, likeness = row[6 * i : 6 * i + 6]
        constant = present > 1 and low == high
        alike = likeness is not None and abs(likeness) >= COPY_CORRELATION
        copies = name != target and not constant and not infinite and shared >= COPY_ROWS and alike
        facts[name] = ColumnFacts(present, constant, infinite, copies)
    texts = {
        name: {text for text in plan.raw_keys.column(name).to_pylist() if isinstance(text, str)}
        for name in plan.options.group_by
    }
    return TableFacts(facts, texts)


def _counts(name: str, target: str, kinds: dict[str, str]) -> Iterator[Column]:
    """Present values, lowest, highest, infinite ones, rows shared with the target, and the likeness to it there."""
    present = _present(name, kinds[name])
    value = F.when(present, column(name))
    yield F.count(value)
    yield F.min(value)
    yield F.max(value)
    infinite = column(name).isin(float("inf"), float("-inf")) if kinds[name] in _FLOATS else F.lit(False)
    yield F.count(F.when(infinite, F.lit(1)))
    both = present & _present(target, kinds[target])
    yield F.count(F.when(both, F.lit(1)))
    x, y = column(name), column(target)
    if kinds[name] in _NUMBERS and kinds[target] in _NUMBERS:
        yield F.corr(F.when(both, x.cast("double")), F.when(both, y.cast("double")))
    elif kinds[target] not in _NUMBERS:
        yield F.min(F.when(both, (x.cast("string") == y.cast("string")).cast("double")))
    else:
        yield F.max(F.lit(0.0))  # an aggregation must hold aggregates


def _present(name: str, kind: str) -> Column:
    there = column(name).isNotNull()
    return there & ~F.isnan(column(name)) if kind in _FLOATS else there
