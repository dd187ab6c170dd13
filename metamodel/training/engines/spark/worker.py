"""What runs inside Spark's Python workers: whole groups in, one result row a group out.

Arrow batches come in sorted by group; the groups that are complete are fitted by the code that every engine uses, so
memory is bounded by the largest group and one batch. Nothing here knows Spark or MLflow, and a worker that trains
imports neither MLflow nor anything that talks to a tracking server.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from metamodel.bundle.diagnostics import EvidenceBuilder
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.collecting import keep_in_spark_worker
from metamodel.evaluation.splits import time_order
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.tuning import Pace, require_optuna
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.features import FeatureSchema
from metamodel.tables.grouping import spread
from metamodel.tables.split_groups import SplitGroups
from metamodel.tables.weights import row_weights
from metamodel.training.earlier_children import PackedStart
from metamodel.training.engines.group_fitter import (
    TRIAL_KILLED,
    GroupFitter,
    GroupRecord,
    seconds_fitting,
    worker_died,
)
from metamodel.training.engines.spark.forked import in_forks
from metamodel.training.engines.spark.part_reference import PartRecorder, PartReference
from metamodel.training.engines.spark.searches import Searches
from metamodel.training.plan import TrainingTable, seen_hashes
from metamodel.training.targets import TargetInfo

__all__ = ["CHILD", "RESULT_SCHEMA", "START", "PartitionTrainer", "whole_groups"]

RESULT_SCHEMA = (
    "number long, ledger string, holdout binary, importance binary, reason string, child binary, sample binary, "
    "seen binary, reference binary"
)

_ARROW_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("ledger", pa.string()),
        # Of all groups of a batch, in its last row; so is the reference.
        ("holdout", pa.binary()),
        ("importance", pa.binary()),
        ("reason", pa.string()),
        ("child", pa.binary()),
        ("sample", pa.binary()),
        ("seen", pa.binary()),
        ("reference", pa.binary()),
    ]
)

# Results are handed back when they come to this, so that many large children never lie in memory together.
_RESULT_BYTES = 8 * 2**20

# Column of the earlier child in the one row of a group that holds it; nulls in all others.
START = "__metamodel_start"

# Column that says which group of all columns a row is of (`holdout.child_ids`).
CHILD = "__metamodel_child"

# What joblib takes for the number of cores; an estimator with n_jobs=-1 asks it.
_CORES = "LOKY_MAX_CPU_COUNT"


def whole_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut a stream of batches, sorted by the group number in column 0, into tables that hold whole groups."""
    waiting: list[pa.RecordBatch] = []  # rows of one group, which may go on in the next batch
    for batch in batches:
        if not batch.num_rows:
            continue
        numbers = batch.column(0).to_numpy()
        start = int(np.searchsorted(numbers, numbers[-1]))
        goes_on = bool(waiting) and waiting[-1].column(0)[0].as_py() == numbers[0]
        if start or (waiting and not goes_on):
            yield pa.Table.from_batches([*waiting, *([batch.slice(0, start)] if start else [])])
            waiting = [batch.slice(start)]
        else:
            waiting.append(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


@dataclass(frozen=True)
class PartitionTrainer:
    """Fits all groups of a partition.

    Parameters
    ----------
    features, target, spec, codec
        As in the plan.
    target_name, time_name, weight_name, split_groups_name
        The columns.
    dtypes
        pandas dtype of every column, the same in every part of the table.
    times
        Order of every text of the time column, where it holds texts.
    random_state, kept_share
        As for every engine.
    sampled_rows
        Rows of each group's features to hand back, on which its child is compared with its stack.
    hashes_seen
        Whether to hand back by which hashes a later training will know the rows.
    threads
        Cores that Spark gives to a task.
    searches
        Of the groups' parameters.
    recorder
        Records what later rows are compared with; None where nothing is recorded.
    """

    features: FeatureSchema
    target: TargetInfo
    spec: FitSpec
    codec: str
    target_name: str
    time_name: str | None
    weight_name: str | None
    split_groups_name: str | None
    dtypes: dict[str, str]
    times: dict[str, int] | None
    random_state: int
    kept_share: float
    sampled_rows: int
    hashes_seen: bool
    threads: int
    searches: Searches
    recorder: PartRecorder | None

    def train(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Fit the groups of a partition; the columns are those of `rows_by_group`, whatever their names."""
        keep_in_spark_worker()
        fitter = GroupFitter(self.spec, self.codec, self.kept_share)
        pace = None
        if self.spec.tuning is not None:
            require_optuna()  # once, and not in every forked process
        with _on_cores(self.threads):
            for table in whole_groups(map(self._named, batches)):
                pace = pace or self.searches.pace(table.column(0)[0].as_py())
                table, earlier = _without_starts(table)
                part = self._part(table)
                recorded = None
                if self.recorder is not None:
                    recorded = self.recorder.record(part.rows, part.numbers, np.diff(part.bounds))
                yield from _in_parts(self._fit(part, earlier, fitter, pace), recorded)

    def _named(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = ["number", *self.dtypes, CHILD, START]
        return batch.rename_columns(names[: batch.num_columns])

    def _part(self, table: pa.Table) -> "_Part":
        numbers, starts = np.unique(table.column(0).to_numpy(), return_index=True)
        rows = self.rows(arrow_to_pandas(table.remove_column(0), self.dtypes))
        return _Part(rows, numbers, [*starts.tolist(), len(rows.y)])

    def _fit(
        self, part: "_Part", earlier: Mapping[int, PackedStart], fitter: GroupFitter, pace: Pace
    ) -> "Iterator[_Result]":
        rows, numbers, bounds = part

        def group(i: int) -> GroupData:
            # The driver knows the key of every number, so that keys need not travel with the rows.
            return rows.group((int(numbers[i]),), bounds[i], bounds[i + 1])

        def digest(i: int) -> str:
            return rows.fingerprint(slice(bounds[i], bounds[i + 1]))

        def fit(i: int, refusal: str = "") -> tuple[GroupRecord, dict[str, float]]:
            search = self.searches.of(int(numbers[i]), pace, refusal)
            record = fitter.fit(group(i), digest(i), search, earlier.get(int(numbers[i])))
            pace.done(int(numbers[i]), seconds_fitting(record.ledger))
            return record, fitter.factors

        def died(i: int) -> tuple[GroupRecord, dict[str, float]]:
            if self.spec.tuning is not None:
                return next(in_forks(lambda _: fit(i, TRIAL_KILLED), lambda _: given_up(i), 1))
            return given_up(i)

        def given_up(i: int) -> tuple[GroupRecord, dict[str, float]]:
            data = group(i)
            return fitter.record(worker_died(data.key, len(data.y)), digest(i)), fitter.factors

        # After a fork OpenMP hangs where it had more than one thread before; then a group can take the task with it.
        total = len(numbers)
        results = in_forks(fit, died, total) if self.threads == 1 else map(fit, range(total))
        for i, (record, fitter.factors) in enumerate(results):
            # A forked process has told only itself.
            pace.done(int(numbers[i]), seconds_fitting(record.ledger))
            seen = _seen(group(i)) if record.ledger.status == "fitted" else b""
            yield _Result(int(numbers[i]), record, self._sample(group(i).x), seen)

    def _sample(self, x: AnyArray | pd.DataFrame) -> bytes:
        if not self.sampled_rows or isinstance(x, pd.DataFrame):
            return b""
        return x[spread(len(x), self.sampled_rows)].tobytes()

    def rows(self, frame: pd.DataFrame) -> TrainingTable:
        """Bring rows to the form that children take."""
        times = None
        if self.time_name is not None and self.times is not None:
            times = frame[self.time_name].map(self.times).to_numpy()
        elif self.time_name is not None:
            times = time_order(frame[self.time_name], self.time_name)
        y = self.target.convert(frame[self.target_name])
        weights = None if self.weight_name is None else row_weights(frame[self.weight_name])
        children = frame[CHILD].to_numpy(dtype=np.int64) if CHILD in frame else None
        together = None
        if self.split_groups_name is not None:
            together = SplitGroups.of(frame, self.split_groups_name, self.random_state)
        features = self.features.training_table(frame)
        seed, seen = self.random_state, self.hashes_seen
        return TrainingTable.of(features, y, times, weights, children, together, random_state=seed, hashes_seen=seen)


class _Part(NamedTuple):
    """Rows of whole groups, the groups' numbers, and where each begins."""

    rows: TrainingTable
    numbers: IntArray
    bounds: list[int]


def _without_starts(table: pa.Table) -> tuple[pa.Table, dict[int, PackedStart]]:
    """Take the rows that hold earlier children out of a table; the children by their groups' numbers."""
    if START not in table.column_names:
        return table, {}
    is_start = table.column(START).is_valid()
    held = table.filter(is_start)
    earlier = zip(held.column(0).to_pylist(), held.column(START).to_pylist(), strict=True)
    rows = table.filter(pc.invert(is_start)).drop_columns([START])
    return rows, {number: PackedStart.from_bytes(start) for number, start in earlier}


class _Result(NamedTuple):
    """A group's number, what remains of it, and of its rows a few features and all hashes that will be known again."""

    number: int
    record: GroupRecord
    sample: bytes
    seen: bytes


def _seen(group: GroupData) -> bytes:
    return b"" if group.contents is None else seen_hashes(group.contents, group.y).tobytes()


def _in_parts(results: Iterator[_Result], recorded: PartReference | None) -> Iterator[pa.RecordBatch]:
    waiting: list[_Result] = []
    size = 0
    for result in results:
        waiting.append(result)
        size += len(result.record.row.child or b"") + len(result.sample) + len(result.seen)
        if size > _RESULT_BYTES:
            yield _batch(waiting, recorded)
            waiting, size = [], 0
    if waiting:
        yield _batch(waiting, recorded)


def _batch(results: Sequence[_Result], recorded: PartReference | None) -> pa.RecordBatch:
    evidence = EvidenceBuilder()
    for number, record, *_ in results:
        evidence.add(number, record.holdout, record.importance)
    none = [(None, None)] * (len(results) - 1)
    rows = [
        (number, json.dumps(record.ledger.to_dict()), *streams, record.row.reason, record.row.child, *of_rows, None)
        for (number, record, *of_rows), streams in zip(results, [*none, evidence.finish().to_bytes()], strict=True)
    ]
    if recorded is not None:
        rows[-1] = (*rows[-1][:-1], recorded.to_bytes([result.number for result in results]))
    columns = [
        pa.array(values, type=field.type) for values, field in zip(zip(*rows, strict=True), _ARROW_SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_ARROW_SCHEMA)


@contextmanager
def _on_cores(threads: int) -> Iterator[None]:
    """Keep a child's own threads to the cores that Spark gave to its task."""
    before = os.environ.get(_CORES)
    os.environ[_CORES] = str(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        if before is None:
            del os.environ[_CORES]
        else:
            os.environ[_CORES] = before
