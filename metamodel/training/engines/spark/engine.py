"""Train on Spark: groups are shared out by the driver, fitted inside Spark's workers, and come back as a stream.

The driver knows how many rows each group has and gives the groups to tasks (`placement`: the largest first, each to the
task that has least); one shuffle brings the rows of each task together (`shuffle`); one pass over them fits one group
after the other (`worker`), with no call per group; and the results come back (`collect`). The pooled model is fitted by
the driver, from a table that is small enough to be collected (`collected_table`).

Only the DataFrame API is used, so that Spark Connect works too. Workers never talk to MLflow; see docs/spark.md.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.common.arrays import AnyArray
from metamodel.exceptions import TrainingError
from metamodel.prediction.stacks.builder import why_not
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.checks import TableFacts
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.tables.spark import SparkTable, read_spark, reason
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.all_rows import fit_pooled
from metamodel.training.engines.base import Engine
from metamodel.training.engines.executor import SequentialExecutor
from metamodel.training.engines.job import Job
from metamodel.training.engines.phases import Phase
from metamodel.training.engines.pooled import refuse_pooled, wants_pooled
from metamodel.training.engines.spark.collect import collected, materialized
from metamodel.training.engines.spark.collected_table import collected_plan
from metamodel.training.engines.spark.facts import spark_facts
from metamodel.training.engines.spark.fingerprints import fingerprints_of
from metamodel.training.engines.spark.newest import fresh_rows
from metamodel.training.engines.spark.part_reference import PartRecorder
from metamodel.training.engines.spark.placement import Placement
from metamodel.training.engines.spark.profile import SparkPlan, plan_on_spark
from metamodel.training.engines.spark.shuffle import rows_by_group
from metamodel.training.engines.spark.worker import RESULT_SCHEMA, PartitionTrainer
from metamodel.training.engines.task import TaskResult
from metamodel.training.monitored.recorded_groups import recorded_groups, replayed_groups
from metamodel.training.monitored.row_reference import RowReference
from metamodel.training.options import TrainingOptions

__all__ = ["SparkEngine", "partition_trainer"]

_HEAD_ROWS = 1000

# Rows of each group that come back to the driver with its child, to compare it with its stack.
_SAMPLED_ROWS = 4


class SparkEngine(Engine[SparkPlan]):
    """Fits in the Python workers of a Spark session, local or of a cluster; the table stays there."""

    @staticmethod
    def _make_plan(*arguments: Any) -> SparkPlan:
        plan = plan_on_spark(*arguments)
        refuse_pooled(plan)
        return plan

    def _open(self, data: Any, options: TrainingOptions) -> tuple[SparkTable, str]:
        table = read_spark(data, options.group_by)
        self._session = table.frame.sparkSession
        self._columns = table.frame.columns
        return table, table.source

    @cached_property
    def head(self) -> pd.DataFrame:
        """First rows of the table, with the needed columns."""
        return arrow_to_pandas(self.plan.frame.limit(_HEAD_ROWS).toArrow(), self.plan.dtypes)

    def facts(self) -> TableFacts:
        """Count what the data checks need."""
        return replace(spark_facts(self.plan), indexes=self.plan.indexes_among(self._columns))

    def fresh_rows(self, through: Mapping[GroupKey, float | int]) -> Mapping[GroupKey, int]:
        """Count the rows of some groups that are newer than a point of time of each."""
        return fresh_rows(self.plan, through)

    def fingerprints(self) -> Mapping[GroupKey, str]:
        """Digest the rows of every group of every level on Spark's workers: one more shuffle of the table."""
        with _errors_of_spark():
            every = Placement.of(Phase(self.plan.sizes_of_all_levels(), {}, math.inf), self.parallelism)
            return fingerprints_of(self.plan, every, partition_trainer(Job(self.plan, Path()), every))

    @cached_property
    def parallelism(self) -> int:
        """How many tasks the cluster runs at a time."""
        if self.plan.options.n_jobs > 0:
            return self.plan.options.n_jobs
        # Spark's context is not everyone's to ask. The numbers themselves come: a shuffle would take longer than 40 KB.
        return len(self._session.range(10_000).select(F.spark_partition_id()).toArrow().column(0).unique())

    def fit(self, end: float, starts: Starts | None, directory: Path, kept_share: float) -> Iterator[TaskResult]:
        """Fit every group that is within the row limit; see `Engine.fit`.

        Raises
        ------
        TrainingError
            Spark gave up, or a group is missing or came twice.
        """
        with _errors_of_spark():
            yield from super().fit(end, starts, directory, kept_share)

    def _fit_phase(self, phase: Phase, job: Job[SparkPlan]) -> Iterator[TaskResult]:
        placement = Placement.of(phase, self.parallelism, searched=self.plan.spec.tuning is not None)
        trainer = partition_trainer(job, placement)
        rows = rows_by_group(self.plan, placement, job.starts)
        with materialized(rows.mapInArrow(trainer.train, RESULT_SCHEMA)) as results:
            yield from collected(results, placement.keys, job.directory, self._sampled_rows)

    def _fit_pooled(self, job: Job[SparkPlan], global_candidate: str) -> Iterator[TaskResult]:
        if wants_pooled(self.plan):
            no_groups = Placement.of(Phase({}, {}, math.inf), 1)  # the rows are brought to form, and fitted here
            plan = collected_plan(self.plan, partition_trainer(job, no_groups))
            here = Job(plan, job.directory, job.kept_share)
            yield from fit_pooled(here, SequentialExecutor(), global_candidate)

    def _sampled_rows(self, sample: bytes) -> AnyArray:
        features = self.plan.features
        return np.frombuffer(sample, dtype=features.matrix_dtype).reshape(-1, len(features.features))


def partition_trainer(job: Job[SparkPlan], placement: Placement) -> PartitionTrainer:
    """Make what fits a partition: all that a worker has to know, and nothing of the table or of Spark.

    Parameters
    ----------
    job
        The training.
    placement
        Which task fits which group; a worker knows a group by its number.
    """
    plan, options = job.plan, job.plan.options
    return PartitionTrainer(
        features=plan.features,
        target=plan.target,
        spec=replace(plan.spec, overrides=placement.numbered(plan.spec.overrides)),
        codec=options.codec,
        target_name=options.target,
        time_name=options.time_column,
        weight_name=options.sample_weight,
        split_groups_name=options.split_groups,
        dtypes=plan.dtypes,
        times=plan.times,
        random_state=options.random_state,
        kept_share=job.kept_share,
        sampled_rows=_SAMPLED_ROWS if _may_stack(plan) else 0,
        hashes_seen=options.hashes_seen,
        threads=int(plan.frame.sparkSession.conf.get("spark.task.cpus", "1") or 1),
        searches=placement.searches(),
        recorder=_recorder(plan, placement) if options.reference else None,
    )


def _recorder(plan: SparkPlan, placement: Placement) -> PartRecorder:
    keys = recorded_groups(plan)
    replayed = dict(zip(keys, replayed_groups(keys).tolist(), strict=True))
    encoded = list(map(encode_key, placement.keys))
    return PartRecorder(
        RowReference(plan.features, plan.spec.task),
        np.array([key in replayed for key in encoded], dtype=bool),
        np.array([replayed.get(key, False) for key in encoded], dtype=bool),
    )


def _may_stack(plan: SparkPlan) -> bool:
    wanted = plan.options.stack and plan.features.layout == "array"
    return wanted and not all(why_not(candidate.estimator) for candidate in plan.spec.every_candidate)


@contextmanager
def _errors_of_spark() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark", "py4j")):
            raise
        raise TrainingError(f"Spark could not finish the training: {reason(error)}") from error
