"""From a Spark table to a plan, without collecting its rows.

The schema, the distinct keys with their counts and last times, one aggregation that counts values, and the labels of a
classifier are all that comes to the driver. They make a *profile*, a small frame that stands for the table, by which
the same code decides as for a table of this machine.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.common.messages import count
from metamodel.evaluation.splits import time_order
from metamodel.exceptions import InputError, InvalidKey
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.checks import ColumnFacts
from metamodel.tables.equal_rows import EqualRows
from metamodel.tables.grouping import check_columns, group_rows
from metamodel.tables.keys import GroupKey, KeySchema
from metamodel.tables.spark import TYPE_EXAMPLES, SparkTable, column, column_types, example_of
from metamodel.tables.split_groups import missing_split_groups
from metamodel.tables.text_checks import TextFacts
from metamodel.training.engines.spark.column_counts import CountedColumns, count_columns, present
from metamodel.training.engines.spark.distinct_keys import DistinctKeys, distinct_keys
from metamodel.training.engines.spark.equal_rows import spark_equal_rows
from metamodel.training.engines.spark.newest import exact_dtype, newest_of_texts, newest_rows
from metamodel.training.engines.spark.odd_columns import count_texts, spark_without_odd_fields
from metamodel.training.engines.spark.of_time import spark_functions_of_time
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override, place
from metamodel.training.plan import Plan, check_table, levels_of, row_columns
from metamodel.training.problem import TableCounts, decide, feature_names, task_of_candidates
from metamodel.training.targets import is_quantity

__all__ = ["SparkPlan", "plan_on_spark"]

_MOST_LABELS = 10_000


@dataclass(frozen=True)
class SparkPlan(Plan):
    """A plan whose rows stay in Spark.

    Attributes
    ----------
    frame
        The needed columns of the rows that belong to a group.
    raw_keys
        The distinct values of the group columns as Spark holds them.
    keys_of_raw
        The group of each of them, None where it is none.
    dtypes
        pandas dtype of every needed column.
    profile
        The frame that the decisions were made by.
    times
        Order of the texts of a time column of texts.
    column_facts
        What the data checks know of features and target, counted in the same pass over the rows.
    copies
        Which features are copies of the target among the rows of each distinct key; see `DistinctKeys`.
    text_facts
        What the data checks know of features that are texts.
    """

    frame: DataFrame
    raw_keys: pa.Table
    keys_of_raw: list[GroupKey | None]
    dtypes: dict[str, str]
    profile: pd.DataFrame
    times: dict[str, int] | None
    column_facts: dict[str, ColumnFacts]
    copies: pa.Table
    text_facts: dict[str, TextFacts]

    def functions_of_time(self) -> frozenset[str] | None:
        """Find the columns that are functions of time alone, among the rows with a target; one job of Spark's."""
        time, target = self.options.time_column, self.options.target
        if time is None:
            return None
        needed = [target, *(self.keys.names if self.keys.null_keys == "drop" else ())]
        return spark_functions_of_time(self.frame, [*self.features.names, target], time, needed)


def plan_on_spark(
    table: SparkTable,
    options: TrainingOptions,
    estimator: object,
    estimator_params: Mapping[str, Any] | None,
    features: Sequence[str] | None,
    overrides: Sequence[Override] = (),
) -> SparkPlan:
    """Check a Spark table and everything asked of it; see `metamodel.training.plan.make_plan`."""
    names = pd.DataFrame(columns=table.frame.columns)
    check_table(names, 1, options, features)
    chosen = feature_names(names, options, features)
    check_columns(names, chosen, "feature column")
    counted_texts = count_texts(table, chosen)
    table, odd_fields = spark_without_odd_fields(table, counted_texts)
    survey = _Survey(table, options, chosen)
    numeric = is_quantity(pd.Series([example_of(survey.kind(options.target))]))
    task = task_of_candidates(estimator, estimator_params, numeric)
    distinct = survey.keys(of_numbers=numeric or task == "regression")
    check_table(names, int(distinct.rows.sum()), options, features)
    keys, groups, dropped = _group(distinct.keys, distinct.rows, options)
    profile = survey.profile(labels=task == "classification" or not numeric)
    survey.check_weights()
    survey.check_split_groups()
    equal = survey.equal_rows(row_columns(chosen, options))
    text_facts = {name: counted.facts for name, counted in counted_texts.items() if survey.kind(name) == "string"}
    counts = TableCounts(equal, survey.text_levels(text_facts), odd_fields)
    decided = decide(profile, options, estimator, estimator_params, features, overrides, counts)
    times, name = survey.times(), options.time_column
    newest: Mapping[GroupKey, float | int] = {}
    if name is not None and times is not None:
        newest = newest_of_texts(survey.keyed, keys, name, str(profile[name].dtype), times)
    elif name is not None:
        newest = newest_rows(groups, distinct.last, str(profile[name].dtype))
    sizes = _sizes(groups, distinct.rows.tolist())
    return SparkPlan(
        options,
        keys,
        decided.features,
        decided.target,
        decided.spec_of_groups(place(overrides, keys, sizes)),
        sizes,
        levels_of(keys, options),
        dropped,
        decided.digest,
        equal,
        tuple(odd_fields),
        {},
        survey.frame,
        distinct.keys,
        groups,
        {name: str(profile[name].dtype) for name in profile},
        profile,
        times,
        survey.counted.facts,
        distinct.copies,
        text_facts,
        newest=newest,
    )


def _sizes(groups: Sequence[GroupKey | None], counted: Sequence[int]) -> dict[GroupKey, int]:
    """Sum up the rows of each group, whose key may be written in several ways."""
    sizes: Counter[GroupKey] = Counter()
    for key, rows in zip(groups, counted, strict=True):
        if key is not None:
            sizes[key] += rows
    return dict(sizes)


def _group(raw: pa.Table, counted: Any, options: TrainingOptions) -> tuple[KeySchema, list[GroupKey | None], int]:
    frame = arrow_to_pandas(
        raw, {name: exact_dtype(field) for name, field in zip(raw.column_names, raw.schema, strict=True)}
    )
    schema = KeySchema.infer(frame, options.group_by, options.null_keys)
    grouping = group_rows(frame, schema)
    keys = [grouping.keys[code] for code in grouping.codes]
    bad = np.array([isinstance(key, InvalidKey) for key in keys], dtype=bool)
    nulls = frame[schema.names].isna().any(axis=1).to_numpy()
    if bad.any() and (options.null_keys != "drop" or (bad & ~nulls).any()):
        worst = int(np.flatnonzero(bad & ~nulls if (bad & ~nulls).any() else bad)[0])
        raise InvalidKey(
            f"{count(int(counted[bad].sum()), 'row')} of {int(counted.sum()):,} belong to no group. {keys[worst]}"
            + (' Or drop such rows with null_keys="drop".' if nulls[worst] else "")
        )
    if bad.all():
        raise InputError("Every row has a null in its group columns, so no row is left. Fill the group columns.")
    groups = [None if isinstance(key, InvalidKey) else key for key in keys]
    return schema, groups, int(counted[bad].sum())


class _Survey:
    """Everything that is asked of the table, in few passes."""

    def __init__(self, table: SparkTable, options: TrainingOptions, features: Sequence[str]) -> None:
        others = [name for name in (options.time_column, options.sample_weight, options.split_groups) if name]
        self._options, self._features = options, features
        self._wanted = list(dict.fromkeys([*features, options.target, *others]))
        needed = list(dict.fromkeys([*options.group_by, *self._wanted]))
        self._integers_with_nulls = table.integers_with_nulls
        self.frame = table.frame.select(*(column(name) for name in needed))
        self._types = column_types(self.frame)

    def kind(self, name: str) -> str:
        """Spark's word for a column's type."""
        return self._types[name]

    def keys(self, *, of_numbers: bool) -> DistinctKeys:
        """Aggregate the table by its keys; see `distinct_keys`."""
        options, kinds = self._options, {name: self.kind(name) for name in self._wanted}
        columns = (options.group_by, kinds, self._features, options.target, options.time_column)
        return distinct_keys(self.frame, *columns, of_numbers=of_numbers)

    @cached_property
    def counted(self) -> CountedColumns:
        """Rows, values of each column, and what the data checks need of features and target."""
        kinds = {name: self.kind(name) for name in self._wanted}
        return count_columns(self.frame, kinds, self._features, self._options.target, self._keyed())

    @property
    def keyed(self) -> DataFrame:
        """The rows that belong to a group."""
        return self.frame.where(self._keyed())

    def _keyed(self) -> Column:
        """Whether a row belongs to a group."""
        keyed: Column = F.lit(True)
        if self._options.null_keys == "drop":
            for name in self._options.group_by:
                keyed = keyed & self._present(name)
        return keyed

    def _present(self, name: str) -> Column:
        return present(name, self.kind(name))

    def dtype(self, name: str) -> str:
        """Name the pandas dtype that this machine's engine would have read the column with."""
        kind = self.kind(name)
        example = TYPE_EXAMPLES.get(kind)
        if example is None:
            return "object"
        if kind in ("tinyint", "smallint", "int", "bigint"):
            return self._integer_dtype(name, example[1])
        if kind == "boolean":
            return "object" if self._has_nulls(name) else "bool"
        return example[1]

    def _integer_dtype(self, name: str, plain: str) -> str:
        if self._integers_with_nulls == "float64":
            return "float64" if self._has_nulls(name) else plain
        # As in a Parquet file: one column with nulls, and all of that type are nullable.
        alike = [other for other in self._wanted if self.kind(other) == self.kind(name)]
        return plain.replace("int", "Int") if any(map(self._has_nulls, alike)) else plain

    def _has_nulls(self, name: str) -> bool:
        return self.counted.columns[name].values < self.counted.total

    def profile(self, labels: bool) -> pd.DataFrame:
        """Make a small frame that stands for the table; see `metamodel.training.problem.decide`."""
        targets = self._labels() if labels else self._samples(self._options.target)
        size = max(2, len(targets))
        columns = {name: self._samples(name) for name in self._wanted}
        columns[self._options.target] = targets
        return pd.DataFrame(
            {
                name: pd.Series([*values[:1] * (size - len(values)), *values], dtype=self.dtype(name))
                for name, values in columns.items()
            }
        )

    def _samples(self, name: str) -> list[Any]:
        """List one value, where the column has any, and a null, where it has any."""
        values, rows = self.counted.columns[name].keyed, self.counted.keyed
        return [*([example_of(self.kind(name))] if values else []), *([None] if values < rows else [])]

    def _labels(self) -> list[Any]:
        name = self._options.target
        values, rows = self.counted.columns[name].keyed, self.counted.keyed
        labels = self.frame.where(self._present(name)).select(column(name)).distinct().limit(_MOST_LABELS + 1)
        found = [row[0] for row in labels.collect()]
        if len(found) > _MOST_LABELS and self.kind(name) != "string":
            raise InputError(f"The target {name!r} has more than {_MOST_LABELS:,} classes. Name a column of labels.")
        return [*found, *([None] if values < rows else [])]

    def equal_rows(self, names: Sequence[str]) -> EqualRows:
        """Count the exact copies, by the content of some columns, and judge them."""
        target = self._options.target
        known = self.frame.where(self._keyed() & self._present(target))
        return spark_equal_rows(known, self._options.group_by, names, target, self._types)

    def text_levels(self, facts: Mapping[str, TextFacts]) -> dict[str, int]:
        """Count the values of each text feature, in rows that belong to a group."""
        if self._options.null_keys != "drop" or not facts:  # all rows do
            return {name: of.levels for name, of in facts.items()}
        row = self.keyed.agg(*(F.count_distinct(column(name)).alias(f"c{i}") for i, name in enumerate(facts))).collect()
        return dict(zip(facts, map(int, row[0]), strict=True))

    def check_weights(self) -> None:
        """Refuse weights that are missing, negative or no numbers, in the words of `weights.row_weights`."""
        name = self._options.sample_weight
        if name is None:
            return
        if isinstance(example_of(self.kind(name)), str | dt.date | list):
            raise InputError(
                f"Weight column {name!r} holds {self.kind(name)} values, which are no weights. "
                "Name a column of numbers."
            )
        value = column(name).cast("double")
        good = self._present(name) & (value >= 0) & (value < float("inf"))
        bad = ~F.coalesce(good, F.lit(False)) & self._keyed()
        number, first = list(self.frame.agg(F.count(F.when(bad, F.lit(1))), F.min(F.when(bad, value))).collect()[0])
        if number:
            raise InputError(
                f"Weight column {name!r} has {count(number, 'value')} missing, infinite or below 0 "
                f"(smallest: {first}). Correct or remove these rows."
            )

    def check_split_groups(self) -> None:
        """Refuse rows that do not say with which others they belong."""
        name = self._options.split_groups
        if name is not None and (missing := self.counted.keyed - self.counted.columns[name].keyed):
            raise missing_split_groups(name, missing)

    def times(self) -> dict[str, int] | None:
        """Check the time column; for texts, the order of all of them."""
        name = self._options.time_column
        if name is None:
            return None
        if missing := self.counted.keyed - self.counted.columns[name].keyed:
            raise InputError(
                f"Time column {name!r} has {count(missing, 'value')} missing or no time. Correct or remove these rows."
            )
        if self.kind(name) != "string":
            time_order(pd.Series(self._samples(name), dtype=self.dtype(name)), name)
            return None
        texts = [row[0] for row in self.frame.where(self._keyed()).select(column(name)).distinct().collect()]
        return dict(zip(texts, time_order(pd.Series(texts), name).tolist(), strict=True))
