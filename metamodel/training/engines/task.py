"""One task: fit many groups, write one shard, leave one result file beside it.

The two files of a finished task are named by the digest of all that decided their content, so that the same command,
started again after a crash, finds them and goes on with the tasks that are missing.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from metamodel.bundle.diagnostics import Evidence, EvidenceBuilder
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.common.arrays import AnyArray, HashArray
from metamodel.common.messages import count
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.fitting.group import GroupOutcome
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.tuning import Found, Pace, Search
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.earlier_children import PackedStart
from metamodel.training.engines.array_groups import ArrayGroups, fit_as_arrays
from metamodel.training.engines.balancing import group_cost
from metamodel.training.engines.group_fitter import TRIAL_KILLED, GroupFitter, ledger_row, seconds_fitting, worker_died
from metamodel.training.engines.phases import parents_best
from metamodel.training.plan import GroupRows, TrainingTable

__all__ = ["AS_ARRAYS", "Task", "TaskResult", "leave_alone", "run_task", "skip_groups"]

# Stands for the group in the file that says where a task is, while many are fitted at a time.
AS_ARRAYS = "as arrays"


@dataclass(frozen=True)
class Task:
    """Groups that are fitted one after the other in one process.

    Parameters
    ----------
    groups
        What to fit.
    killers
        Keys that killed a process before; they are recorded as failed and not tried again.
    untuned
        Keys whose process died while their parameters were searched; they are fitted without a search.
    first
        Parent's key → what its children's searches try first.
    end
        When the searches of this task have to be over.
    arrays
        Whether groups may be fitted many at a time; what comes out is the same.
    """

    groups: tuple[GroupRows, ...]
    killers: frozenset[GroupKey] = frozenset()
    untuned: frozenset[GroupKey] = frozenset()
    first: Mapping[GroupKey, Found] = field(default_factory=dict)
    end: float = math.inf
    arrays: bool = True

    def digest(self, spec_digest: str) -> str:
        """Name of the task's files: the same digest, the same content."""
        content: list[Any] = [spec_digest, sorted(map(encode_key, self.killers))]
        content += [[encode_key(group.key), group.fingerprint] for group in self.groups]
        if self.untuned or self.first:
            content += [sorted(map(encode_key, self.untuned)), {encode_key(k): v for k, v in self.first.items()}]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def search(self, key: GroupKey, times: tuple[float, float]) -> Search:
        """Say what a group's search starts from, and when it ends."""
        found = parents_best(key, self.first)
        refusal = TRIAL_KILLED if key in self.untuned else ""
        return Search(found.params, *times, refusal=refusal, first_latest=found.latest)


@dataclass(frozen=True)
class TaskResult:
    """What a task has to say: one ledger row for each of its groups, its shard, and its groups' evidence.

    `keys` are the encoded keys that the evidence's group numbers stand for. Where the caller has no table,
    `samples` holds a few rows of each group's features by encoded key, `seen` the hashes of all its rows, where
    they are remembered, and `references` what later rows are compared with, of some groups each under their encoded
    keys. With `again` its groups were fitted before, and what was handed back of them then gives way; with `pooled`
    it is the model of all groups that knows the group columns. With `strangers` a model of all groups was asked
    about groups that it had not seen, and no child was fitted.
    `turn` counts the tasks of a phase: results come as they are ready, and are put together in this order.
    """

    shard: Path
    ledger: list[LedgerRow]
    evidence: Evidence
    keys: Sequence[str]
    samples: dict[str, AnyArray] = field(default_factory=dict)
    seen: dict[str, HashArray] = field(default_factory=dict)
    references: Sequence[tuple[list[str], DriftReference]] = ()
    again: bool = False
    pooled: bool = False
    strangers: bool = False
    turn: int | None = None

    def write(self, path: Path) -> None:
        """Leave the result beside the shard, complete or not at all."""
        self.evidence.write(path)
        unfinished = path.with_suffix(f".unfinished-{os.getpid()}")
        rows = [row.to_dict() for row in self.ledger]
        content = {"columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        unfinished.rename(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Inverse of `write`."""
        content = json.loads(path.read_text(encoding="utf-8"))
        ledger = [LedgerRow.from_dict(dict(zip(content["columns"], row, strict=True))) for row in content["rows"]]
        return cls(path.with_suffix(".sqlite"), ledger, Evidence.read(path), [row.key for row in ledger])


def run_task(
    task: Task,
    table: TrainingTable,
    spec: FitSpec,
    codec_name: str,
    directory: Path,
    digest: str,
    kept_share: float,
    starts: Mapping[GroupKey, PackedStart],
) -> TaskResult:
    """Fit the groups of a task.

    Parameters
    ----------
    task
        The groups, in the order in which `table` holds their rows.
    table
        The task's rows and no others.
    spec, codec_name
        What to fit, and how to serialize it.
    directory, digest
        Where to write, and the name of the files.
    kept_share
        Share of the held-out rows to hand back, from `holdout.kept_share`.
    starts
        What groups go on from; those without one start from nothing.
    """
    fitter = GroupFitter(spec, codec_name, kept_share)
    ledger: list[LedgerRow] = []
    evidence = EvidenceBuilder()
    current = directory / f"{digest}.current"
    pace = Pace([group_cost(len(group.rows)) for group in task.groups], task.end)
    with ShardWriter(directory / f"{digest}.sqlite") as shard, current.open("w", encoding="utf-8") as marker:
        as_arrays, start = ArrayGroups({}), 0
        if task.arrays and not (task.killers or task.untuned or any(earlier.warm for earlier in starts.values())):
            _mark(marker, AS_ARRAYS)
            as_arrays = fit_as_arrays(task.groups, table, spec, fitter, kept_share, starts)
        for i, group in enumerate(task.groups):
            rows = slice(start, start + len(group.rows))
            start = rows.stop
            if i in as_arrays.records:
                done = as_arrays.records[i]
            elif group.key in task.killers:
                done = fitter.record(worker_died(group.key, len(group.rows)), group.fingerprint)
            else:
                _mark(marker, encode_key(group.key))
                search = task.search(group.key, pace.next(i))
                data = table.group(group.key, rows.start, rows.stop)
                done = fitter.fit(data, group.fingerprint, search, starts.get(group.key), as_arrays.note)
            pace.done(i, seconds_fitting(done.ledger))
            shard.add(done.row)
            evidence.add(len(ledger), done.holdout, done.importance)
            ledger.append(done.ledger)
    result = TaskResult(directory / f"{digest}.sqlite", ledger, evidence.finish(), [row.key for row in ledger])
    result.write(directory / f"{digest}.json")
    current.unlink(missing_ok=True)
    return result


def skip_groups(sizes: Mapping[GroupKey, int], limit: int, directory: Path) -> TaskResult:
    """Record groups that are larger than the row limit, without a look at their rows.

    Parameters
    ----------
    sizes
        Rows of each of these groups.
    limit
        The row limit.
    directory
        Where to write the shard.
    """
    said = f"max_group_rows: {{}}, {limit:,} allowed"
    rows = {key: (number, said.format(count(number, "row"))) for key, number in sizes.items()}
    return _without_a_look(rows, directory / "skipped.sqlite")


def leave_alone(sizes: Mapping[GroupKey, int], directory: Path) -> TaskResult:
    """Record new groups that an update does not train, with the rows that they have."""
    rows = {key: (number, "not_retrained: no rule asks for new groups") for key, number in sizes.items()}
    return _without_a_look(rows, directory / "left_alone.sqlite")


def _without_a_look(groups: Mapping[GroupKey, tuple[int, str]], path: Path) -> TaskResult:
    path.unlink(missing_ok=True)
    ledger = []
    with ShardWriter(path) as shard:
        for key, (rows, reason) in groups.items():
            outcome = GroupOutcome(key, "skipped", rows, reason)
            row = ShardRow(encode_key(key), len(key), outcome.status, outcome.reason)
            shard.add(row)
            ledger.append(ledger_row(outcome, "", row))
    return TaskResult(path, ledger, Evidence(), [])


def _mark(marker: Any, at: str) -> None:
    # If this process is killed, the file says which group it was at.
    marker.seek(0)
    marker.write(at)
    marker.truncate()
    marker.flush()
