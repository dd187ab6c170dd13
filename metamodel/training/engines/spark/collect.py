"""The way back from Spark: results are kept until the driver has streamed them into shards, every group just once."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row, SparkSession

from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.common.arrays import AnyArray, HashArray
from metamodel.common.messages import count, listing
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.exceptions import TrainingError
from metamodel.tables.keys import GroupKey, encode_key, encode_keys
from metamodel.tables.spark import settings
from metamodel.training.engines.spark.part_reference import read_part
from metamodel.training.engines.task import TaskResult

__all__ = ["STAGING", "collected", "materialized"]

# Name of the session's setting for a folder that driver and workers share; results are staged there.
STAGING = "spark.metamodel.stagingDirectory"

# Every task has its own partition, however small; adaptive execution would run many of them as one.
_NO_MERGING = {"spark.sql.adaptive.coalescePartitions.enabled": "false"}

# Groups, and bytes of children, that are written to one file on their way into the bundle.
_CHUNK_GROUPS, _CHUNK_BYTES = 2000, 64 * 2**20

# Results that are no more than this come to the driver at once.
_AT_ONCE_BYTES = 16 * 2**20

# Bytes of a group's sampled rows → its features, shape (n_rows, n_features).
_Reader = Callable[[bytes], AnyArray]


@contextmanager
def materialized(trained: DataFrame) -> Iterator[Iterator[Row]]:
    """Run the training, all tasks at once, and keep its results until the driver has read them.

    They are kept on the workers' disks (lost with a worker, they are made again), or in the staging directory.
    """
    session = trained.sparkSession
    staging = session.conf.get(STAGING, None)
    if staging:
        with _staged(trained, session, staging) as results:
            yield results.toLocalIterator(prefetchPartitions=True)
        return
    kept = trained.persist(StorageLevel.DISK_ONLY)
    try:
        with settings(session, _NO_MERGING):
            size = _bytes(kept)
        # A stream is a job for each partition, and Spark's scheduler holds such jobs, with the broadcast tables of
        # their plans, for as long as the session lives (seen in 4.3).
        yield iter(kept.collect()) if size <= _AT_ONCE_BYTES else kept.toLocalIterator(prefetchPartitions=True)
    finally:
        kept.unpersist()


def _bytes(results: DataFrame) -> int:
    """Sum up the lengths of all texts and binaries: one number a group comes to the driver, and nothing is shuffled."""
    fields = [name for name, kind in results.dtypes if kind in ("string", "binary")]
    lengths = " + ".join(f"coalesce(cast(octet_length(`{field}`) as bigint), 0)" for field in fields)
    return pc.sum(results.selectExpr(lengths).toArrow().column(0)).as_py() or 0


@contextmanager
def _staged(trained: DataFrame, session: SparkSession, staging: str) -> Iterator[DataFrame]:
    folder = f"{staging.rstrip('/')}/metamodel-{uuid.uuid4().hex}"
    try:
        with settings(session, _NO_MERGING):
            trained.write.parquet(folder)
        yield session.read.parquet(folder)
    finally:
        # Only a local folder can be taken away from here; docs/spark.md says so.
        shutil.rmtree(folder.removeprefix("file://"), ignore_errors=True)


def collected(
    rows: Iterator[Row], keys: Sequence[GroupKey], directory: Path, read_sample: _Reader
) -> Iterator[TaskResult]:
    """Write results to shards as they come; every group exactly once.

    Parameters
    ----------
    rows
        In the columns of `worker.RESULT_SCHEMA`.
    keys
        The groups in the order of their numbers.
    directory
        Where to write shards; each goes when the next one is asked for.
    read_sample
        Reads the rows that come back with a child.

    Raises
    ------
    TrainingError
        A group came twice, or not at all.
    """
    waiting = set(range(len(keys)))
    encoded = encode_keys(keys)
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
        references = [([encoded[i] for i in numbers], part) for numbers, part in chunk.references]
        evidence = Evidence.together(chunk.evidence)
        yield TaskResult(path, chunk.ledger, evidence, encoded, chunk.samples, chunk.seen, references)
        path.unlink(missing_ok=True)
    if waiting:
        lost = listing((keys[i] for i in sorted(waiting)), 5)
        raise TrainingError(f"{count(len(waiting), 'group')} did not come back from Spark: {lost}. Train again.")


def _claim(row: Row, waiting: set[int], keys: Sequence[GroupKey]) -> None:
    if row.number not in waiting:
        raise TrainingError(f"Group {keys[row.number]} came back from Spark twice. Train again.")
    waiting.remove(row.number)


@dataclass
class _Chunk:
    """Some results on their way into the bundle."""

    ledger: list[LedgerRow] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    samples: dict[str, AnyArray] = field(default_factory=dict)
    seen: dict[str, HashArray] = field(default_factory=dict)
    references: list[tuple[list[int], DriftReference]] = field(default_factory=list)
    bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self.ledger) >= _CHUNK_GROUPS or self.bytes >= _CHUNK_BYTES

    def add(self, row: Row, key: GroupKey, shard: ShardWriter, read_sample: _Reader) -> None:
        """Give a result its key back, and write its child."""
        encoded = encode_key(key)
        ledger = replace(LedgerRow.from_dict(json.loads(row.ledger)), key=encoded, level=len(key))
        child = None if row.child is None else bytes(row.child)
        entry = (encoded, len(key), ledger.status, row.reason, child, ledger.resident, ledger.sha256)
        shard.add(ShardRow(*entry))
        self.ledger.append(ledger)
        self.evidence.append(Evidence.from_bytes(row.holdout, row.importance))
        if child is not None and row.sample:
            self.samples[encoded] = read_sample(bytes(row.sample))
        if row.reference is not None:
            self.references.append(read_part(bytes(row.reference)))
        if row.seen:
            self.seen[encoded] = np.frombuffer(bytes(row.seen), dtype=np.uint64)
        self.bytes += len(child or b"")
