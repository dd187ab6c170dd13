"""What `metamodel.tables.checks` needs to know of a Spark table.

What the plan's own passes counted in each column and of each key, and the keys that the driver has anyway. Only where
these find something is there another one, which tells what is more than chance.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.tables.checks import COPY_ROWS, TableFacts
from metamodel.tables.keys import GroupKey
from metamodel.tables.spark import column
from metamodel.training.engines.spark.profile import SparkPlan
from metamodel.training.leakage import RARE_ROWS, in_order, pairs

__all__ = ["spark_facts"]


def spark_facts(plan: SparkPlan) -> TableFacts:
    """Count in a Spark table; see `metamodel.tables.checks.table_facts`."""
    facts = {name: plan.column_facts[name] for name in dict.fromkeys([*plan.features.names, plan.options.target])}
    texts = {
        name: {text for text in plan.raw_keys.column(name).to_pylist() if isinstance(text, str)}
        for name in plan.options.group_by
    }
    of_texts = {name: plan.text_facts[name] for name in plan.features.names if name in plan.text_facts}
    return TableFacts(facts, texts, _copies_in_groups(plan), of_texts)


def _copies_in_groups(plan: SparkPlan) -> dict[str, list[GroupKey]]:
    """Find what `metamodel.training.leakage.copies_in_groups` finds."""
    compared = plan.copies.column_names  # not those without a type, which have no values
    names = [name for _, name in pairs(plan) if name in compared and pc.any(plan.copies.column(name)).as_py()]
    if not names:
        return {}
    telling = _telling(plan, [column(name) for name in plan.options.group_by])
    raw_keys = _tuples(plan.raw_keys, plan.raw_keys.num_columns)
    groups = [key if raw in telling else None for raw, key in zip(raw_keys, plan.keys_of_raw, strict=True)]
    copies = {
        name: in_order(key for key, copied in zip(groups, flags, strict=True) if copied and key is not None)
        for name, flags in plan.copies.select(names).to_pydict().items()
    }
    return {name: of for name, of in copies.items() if of}


def _telling(plan: SparkPlan, keys: Sequence[Column]) -> set[tuple[Any, ...]]:
    """Find the groups, as Spark holds their keys, whose target varies so much that a copy of it is no chance."""
    rows, rare = "__metamodel_rows", "__metamodel_rare"
    counted = plan.frame.groupBy(*keys, column(plan.options.target)).agg(
        F.count(column(plan.options.target)).alias(rows)
    )
    # Nulls count for nothing.
    values = F.count(F.when(F.col(rows) > 0, F.lit(1))).alias(rows)
    per_group = counted.groupBy(*keys).agg(values, (F.sum(rows) - F.max(rows)).alias(rare))
    enough = F.col(rows) >= COPY_ROWS if plan.spec.task == "regression" else F.col(rare) >= RARE_ROWS
    return set(_tuples(per_group.where(enough).toArrow(), len(keys)))


def _tuples(table: pa.Table, width: int) -> list[tuple[Any, ...]]:
    """List the rows of a table's first columns."""
    return list(zip(*(table.column(i).to_pylist() for i in range(width)), strict=True))
