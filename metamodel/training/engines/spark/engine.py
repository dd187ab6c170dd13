"""Train on Spark: groups are shared out by the driver, fitted inside Spark's workers, and come back as a stream.

One shuffle brings every group's rows together: the driver knows how many rows each group has, gives the groups to
tasks (the largest first, each to the task that has least), and a broadcast join writes the task's number beside every
row. Within a task rows are sorted by group, so that one pass fits one group after the other: no call per group.

Only the DataFrame API is used, so that Spark Connect works too. Workers never talk to MLflow; see docs/spark.md.
"""

import json
import math
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.shards import ShardRow, ShardWriter
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, listing
from metamodel.evaluation.holdout import child_ids
from metamodel.exceptions import TrainingError
from metamodel.fitting.spec import FitSpec
from metamodel.prediction.stacks import why_not
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.checks import TableFacts
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.tables.row_hashes import mixed_columns
from metamodel.tables.spark import column, read_spark, reason, settings
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.base import balance
from metamodel.training.engines.phases import Phases
from metamodel.training.engines.reselection import Choices
from metamodel.training.engines.spark.facts import spark_facts
from metamodel.training.engines.spark.profile import SparkPlan, plan_on_spark
from metamodel.training.engines.spark.start_rows import with_starts
from metamodel.training.engines.spark.worker import CHILD, RESULT_SCHEMA, PartitionTrainer, Searches
from metamodel.training.engines.task import TaskResult, group_cost, parents_best
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override
from metamodel.training.plan import hashed_columns

__all__ = ["STAGING", "SparkTraining"]

# Name of the session's setting for a folder that driver and workers share; results are staged there.
STAGING = "spark.metamodel.stagingDirectory"

_TASK, _NUMBER, _ROW = "__metamodel_task", "__metamodel_group", "__metamodel_row"

# Every task has its own partition, however small; adaptive execution would run many of them as one.
_NO_MERGING = {"spark.sql.adaptive.coalescePartitions.enabled": "false"}

_HEAD_ROWS = 1000

# Rows of each group that come back to the driver with its child, to compare it with its stack.
_SAMPLED_ROWS = 4

_Reader = Callable[[bytes], AnyArray]

# Groups, and bytes of children, that are written to one file on their way into the bundle.
_CHUNK_GROUPS, _CHUNK_BYTES = 2000, 64 * 2**20


class SparkTraining:
    """One training on Spark.

    Parameters
    ----------
    data
        As for `metamodel.tables.spark.read_spark`.
    options, estimator, estimator_params, features, overrides
        As for `metamodel.training.plan.make_plan`.
    """

    def __init__(
        self,
        data: Any,
        options: TrainingOptions,
        estimator: object,
        estimator_params: Mapping[str, Any] | None,
        features: Sequence[str] | None,
        overrides: Sequence[Override] = (),
    ) -> None:
        table = read_spark(data, options.group_by)
        self.source = table.source
        self.plan = plan_on_spark(table, options, estimator, estimator_params, features, overrides)
        self._session = self.plan.frame.sparkSession

    @cached_property
    def head(self) -> pd.DataFrame:
        """First rows of the table, with the needed columns."""
        return arrow_to_pandas(self.plan.frame.limit(_HEAD_ROWS).toArrow(), self.plan.dtypes)

    def facts(self) -> TableFacts:
        """Count what the data checks need."""
        return spark_facts(self.plan)

    def fit(self, end: float, starts: Starts | None, directory: Path, kept_share: float) -> Iterator[TaskResult]:
        """Fit every group that is within the row limit.

        Parameters
        ----------
        end
            When searches have to be over, a point of the wall clock.
        starts
            What fits go on from; None where they start from nothing.
        directory
            Where to write shards, on the driver.
        kept_share
            Share of the held-out rows to hand back, from `holdout.kept_share`.

        Raises
        ------
        TrainingError
            Spark gave up, or a group is missing or came twice.
        """
        limit = self.plan.options.max_group_rows
        sizes = {k: rows for k, rows in self.plan.sizes_of_all_levels().items() if limit is None or rows <= limit}
        if not sizes:
            return
        try:
            slots = _slots(self._session, self.plan.options.n_jobs)
            phases = Phases(self.plan, sizes, slots, end)
            choices = Choices(self.plan.spec)
            for i, levels in enumerate(phases.levels):
                until = phases.end_of(i)
                groups = _Groups.of({k: n for k, n in sizes.items() if len(k) in levels}, slots, math.isfinite(until))
                if not groups.keys:
                    continue
                trainer = self._trainer(self.plan.spec, kept_share, groups, groups.searches(phases, until))
                for result in self._phase(groups, self._rows(groups, starts), trainer, directory):
                    phases.learn(result.ledger)
                    choices.learn(result.ledger)
                    yield result
            again = choices.plan_again(self.plan)
            if again is not None:
                groups = _Groups.of({key: sizes[key] for key in again.spec.overrides}, slots, once=False)
                trainer = self._trainer(again.spec, kept_share, groups, Searches())
                for result in self._phase(groups, self._rows(groups, starts), trainer, directory):
                    yield replace(result, again=True)
        except Exception as error:
            if not type(error).__module__.startswith(("pyspark", "py4j")):
                raise
            raise TrainingError(f"Spark could not finish the training: {reason(error)}") from error

    def _phase(
        self, groups: "_Groups", rows: DataFrame, trainer: PartitionTrainer, directory: Path
    ) -> Iterator[TaskResult]:
        trained = rows.mapInArrow(trainer.train, RESULT_SCHEMA)
        with _materialized(trained, self._session) as results:
            yield from _chunks(results.toLocalIterator(prefetchPartitions=True), groups.keys, directory, self._sample)

    def _sample(self, sample: bytes) -> AnyArray:
        features = self.plan.features
        return np.frombuffer(sample, dtype=features.matrix_dtype).reshape(-1, len(features.features))

    def _trainer(self, spec: FitSpec, kept_share: float, groups: "_Groups", searches: Searches) -> PartitionTrainer:
        plan, options = self.plan, self.plan.options
        hashed = hashed_columns(plan.features, options)
        # A worker knows a group by its number.
        own = spec.overrides.items()
        numbered: dict[GroupKey, FitSpec] = {
            (groups.seats[key][0],): own_spec for key, own_spec in own if key in groups.seats
        }
        return PartitionTrainer(
            features=plan.features,
            target=plan.target,
            spec=replace(spec, overrides=numbered),
            codec=options.codec,
            target_name=options.target,
            time_name=options.time_column,
            weight_name=options.sample_weight,
            dtypes=plan.dtypes,
            hashed=hashed,
            mixed=mixed_columns(plan.profile[hashed]),
            times=plan.times,
            random_state=options.random_state,
            kept_share=kept_share,
            sampled_rows=_SAMPLED_ROWS if _may_stack(plan) else 0,
            threads=int(self._session.conf.get("spark.task.cpus", "1") or 1),
            searches=searches,
        )

    def _rows(self, groups: "_Groups", starts: Starts | None = None) -> DataFrame:
        """Bring the rows of every group together, in the table's order, and nothing but the needed columns."""
        numbered = self.plan.frame.withColumn(_ROW, F.monotonically_increasing_id())
        levels = [len(self.plan.keys.columns), *self.plan.levels]
        parts = [part for level in levels if (part := self._at_level(numbered, level, groups)) is not None]
        together = reduce(DataFrame.unionAll, parts)
        if starts is not None:
            together = with_starts(together, groups.seats, starts, (_NUMBER, _TASK, _ROW))
        ordered = together.repartitionById(groups.tasks, _TASK).sortWithinPartitions(_NUMBER, _ROW)
        return ordered.drop(_TASK, _ROW)

    def _at_level(self, numbered: DataFrame, level: int, groups: "_Groups") -> DataFrame | None:
        data = [*(column(name) for name in self.plan.dtypes), F.col(CHILD)]
        seats = self._seats(level, groups)
        if not seats.num_rows:
            return None
        right = self._session.createDataFrame(seats)
        same = [column(name).eqNullSafe(F.col(f"__metamodel_key_{i}")) for i, name in enumerate(self.plan.keys.names)]
        return numbered.join(F.broadcast(right), reduce(and_, same)).select(_NUMBER, _TASK, _ROW, *data)

    def _seats(self, level: int, groups: "_Groups") -> pa.Table:
        """Say for the group columns' values, as Spark holds them, which group of this level they are in."""
        of_raw = enumerate(self.plan.keys_of_raw)
        kept = [(i, key) for i, key in of_raw if key is not None and key[:level] in groups.seats]
        raw = self.plan.raw_keys.take(pa.array([i for i, _ in kept], type=pa.int64()))
        seats = [groups.seats[key[:level]] for _, key in kept]
        arrays = [*raw.columns, *(pa.array([seat[i] for seat in seats], type=pa.int32()) for i in (0, 1))]
        arrays.append(pa.array(child_ids(key for _, key in kept)))
        names = [*(f"__metamodel_key_{i}" for i in range(raw.num_columns)), _NUMBER, _TASK, CHILD]
        return pa.table(arrays, names=names)


def _may_stack(plan: SparkPlan) -> bool:
    wanted = plan.options.stack and plan.features.layout == "array"
    return wanted and not all(why_not(candidate.estimator) for candidate in plan.spec.every_candidate)


@dataclass(frozen=True)
class _Groups:
    """Which task fits which group; within a task groups are numbered in the order in which they are fitted."""

    keys: list[GroupKey]
    seats: dict[GroupKey, tuple[int, int]]
    tasks: int
    costs: list[list[float]]

    @classmethod
    def of(cls, sizes: Mapping[GroupKey, int], slots: int, once: bool) -> "_Groups":
        wanted = list(sizes)
        keys: list[GroupKey] = []
        seats: dict[GroupKey, tuple[int, int]] = {}
        shares = balance(list(sizes.values()), slots, once=once)
        for task, share in enumerate(shares):
            for i in share:
                seats[wanted[i]] = (len(keys), task)
                keys.append(wanted[i])
        costs = [[group_cost(sizes[wanted[i]]) for i in share] for share in shares]
        return cls(keys, seats, len(shares), costs)

    def searches(self, phases: Phases, end: float) -> Searches:
        """Say by number what each group's search starts from."""
        found = ((number, parents_best(key, phases.first)) for number, key in enumerate(self.keys))
        first = {number: best for number, best in found if best.params}
        return Searches(first, self.costs if math.isfinite(end) else [], end)


def _slots(session: SparkSession, n_jobs: int) -> int:
    """How many tasks the cluster runs at a time."""
    if n_jobs > 0:
        return n_jobs
    return session.range(10_000).select(F.spark_partition_id()).distinct().count()


@contextmanager
def _materialized(trained: DataFrame, session: SparkSession) -> Iterator[DataFrame]:
    """Run the training, all tasks at once, and keep its results until the driver has read them.

    They are kept on the workers' disks (lost with a worker, they are made again), or in the staging directory.
    """
    staging = session.conf.get(STAGING, None)
    if staging:
        folder = f"{staging.rstrip('/')}/metamodel-{uuid.uuid4().hex}"
        try:
            with settings(session, _NO_MERGING):
                trained.write.parquet(folder)
            yield session.read.parquet(folder)
        finally:
            # Only a local folder can be taken away from here; docs/spark.md says so.
            shutil.rmtree(folder.removeprefix("file://"), ignore_errors=True)
        return
    kept = trained.persist(StorageLevel.DISK_ONLY)
    try:
        with settings(session, _NO_MERGING):
            kept.count()
        yield kept
    finally:
        kept.unpersist()


@dataclass
class _Chunk:
    """Some results on their way into the bundle."""

    ledger: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    samples: dict[str, AnyArray] = field(default_factory=dict)
    bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self.ledger) >= _CHUNK_GROUPS or self.bytes >= _CHUNK_BYTES

    def add(self, row: Row, key: GroupKey, shard: ShardWriter, read_sample: _Reader) -> None:
        """Give a result its key back, and write its child."""
        encoded = encode_key(key)
        ledger = {**json.loads(row.ledger), "key": encoded, "level": len(key)}
        child = None if row.child is None else bytes(row.child)
        entry = (encoded, len(key), ledger["status"], row.reason, child, ledger["resident"], ledger["sha256"])
        shard.add(ShardRow(*entry))
        self.ledger.append(ledger)
        self.evidence.append(Evidence.from_bytes(row.holdout, row.importance))
        if child is not None and row.sample:
            self.samples[encoded] = read_sample(bytes(row.sample))
        self.bytes += len(child or b"")


def _chunks(
    rows: Iterator[Row], keys: Sequence[GroupKey], directory: Path, read_sample: _Reader
) -> Iterator[TaskResult]:
    """Write results as they come; every group exactly once."""
    waiting = set(range(len(keys)))
    encoded = [encode_key(key) for key in keys]
    rows = iter(rows)
    for number, first in enumerate(rows):
        chunk = _Chunk()
        path = directory / f"{number:05d}.sqlite"
        path.unlink(missing_ok=True)
        with ShardWriter(path) as shard:
            _claim(first, waiting, keys)
            chunk.add(first, keys[first.number], shard, read_sample)
            while not chunk.full and (row := next(rows, None)) is not None:
                _claim(row, waiting, keys)
                chunk.add(row, keys[row.number], shard, read_sample)
        yield TaskResult(path, chunk.ledger, Evidence.together(chunk.evidence), encoded, chunk.samples)
        path.unlink(missing_ok=True)
    if waiting:
        lost = listing((keys[i] for i in sorted(waiting)), 5)
        raise TrainingError(f"{count(len(waiting), 'group')} did not come back from Spark: {lost}. Train again.")


def _claim(row: Row, waiting: set[int], keys: Sequence[GroupKey]) -> None:
    if row.number not in waiting:
        raise TrainingError(f"Group {keys[row.number]} came back from Spark twice. Train again.")
    waiting.remove(row.number)
