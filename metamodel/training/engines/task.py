"""One task: fit many groups, write one shard, leave one result file beside it.

The two files of a finished task are named by the digest of all that decided their content, so that the same command,
started again after a crash, finds them and goes on with the tasks that are missing.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from metamodel.bundle.codecs import Codec, get_codec, resident_factor
from metamodel.bundle.diagnostics import Evidence, EvidenceBuilder
from metamodel.bundle.ledger import GROUP_FACTS
from metamodel.bundle.shards import ShardRow, ShardWriter
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, error_text
from metamodel.evaluation.holdout import HeldOut
from metamodel.evaluation.importance import Importance, importance_of
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData, GroupOutcome
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.tuning import Found, Pace, Search
from metamodel.tables.keys import GroupKey, decode_key, encode_key
from metamodel.training.earlier_children import PackedStart
from metamodel.training.plan import GroupRows, TrainingTable

__all__ = [
    "TRIAL_KILLED",
    "GroupFitter",
    "GroupRecord",
    "Task",
    "TaskResult",
    "best_found",
    "group_cost",
    "killed",
    "parents_best",
    "run_task",
    "seconds_fitting",
    "skip_groups",
]

# Children of one task whose memory is measured; the rest is charged by their size.
_MEASURED_CHILDREN = 2

_GROUP_COST = 200.0

# Why a group is fitted untuned whose search did not survive.
TRIAL_KILLED = "a trial killed its process"


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
    """

    groups: tuple[GroupRows, ...]
    killers: frozenset[GroupKey] = frozenset()
    untuned: frozenset[GroupKey] = frozenset()
    first: Mapping[GroupKey, Found] = field(default_factory=dict)
    end: float = math.inf

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

    `keys` are the encoded keys that the evidence's group numbers stand for. Where the caller has no table, `samples`
    holds a few rows of each group's features by encoded key. With `again` its groups were fitted before, and what was
    handed back of them then gives way.
    """

    shard: Path
    ledger: list[dict[str, Any]]
    evidence: Evidence
    keys: Sequence[str]
    samples: dict[str, AnyArray] = field(default_factory=dict)
    again: bool = False

    def write(self, path: Path) -> None:
        """Leave the result beside the shard, complete or not at all."""
        self.evidence.write(path)
        unfinished = path.with_suffix(f".unfinished-{os.getpid()}")
        unfinished.write_text(json.dumps({"ledger": self.ledger}), encoding="utf-8")
        unfinished.rename(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Inverse of `write`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(path.with_suffix(".sqlite"), data["ledger"], Evidence.read(path), _keys(data["ledger"]))


@dataclass(frozen=True)
class GroupRecord:
    """What remains of one group: its row of the shard, its row of the ledger, held-out rows and importances."""

    row: ShardRow
    ledger: dict[str, Any]
    holdout: HeldOut | None = None
    importance: Importance | None = None


class GroupFitter:
    """Fits one group after the other; every engine does it with this.

    Parameters
    ----------
    spec, codec_name
        What to fit, and how to serialize it.
    kept_share
        Share of the held-out rows to hand back, from `holdout.kept_share`.
    """

    def __init__(self, spec: FitSpec, codec_name: str, kept_share: float) -> None:
        self._spec = spec
        self._codec = get_codec(codec_name)
        self._kept_share = kept_share
        # Memory of the first children for each byte of theirs, by which the others are charged.
        self.factors: list[float] = []

    def fit(
        self, data: GroupData, fingerprint: str, search: Search | None = None, start: PackedStart | None = None
    ) -> GroupRecord:
        """Fit one group."""
        outcome = fit_group(data, self._spec.of(data.key), search, None if start is None else start.open())
        importance = None if outcome.child is None else importance_of(outcome.child, data.x)
        return self.record(outcome, fingerprint, importance)

    def record(self, outcome: GroupOutcome, fingerprint: str, importance: Importance | None = None) -> GroupRecord:
        """Serialize what became of a group."""
        outcome, row = _serialize(outcome, self._codec, self.factors)
        ledger = _ledger_row(outcome, fingerprint, row)
        if outcome.status != "fitted":
            return GroupRecord(row, ledger)
        held = None if outcome.holdout is None else outcome.holdout.sample(self._kept_share)
        return GroupRecord(row, ledger, held, importance)


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
    ledger: list[dict[str, Any]] = []
    evidence = EvidenceBuilder()
    current = directory / f"{digest}.current"
    pace = Pace([group_cost(len(group.rows)) for group in task.groups], task.end)
    with ShardWriter(directory / f"{digest}.sqlite") as shard, current.open("w", encoding="utf-8") as marker:
        start = 0
        for i, group in enumerate(task.groups):
            _mark(marker, group.key)
            data = table.group(group.key, start, start + len(group.rows))
            start += len(group.rows)
            if group.key in task.killers:
                done = fitter.record(killed(group.key, len(group.rows)), group.fingerprint)
            else:
                search = task.search(group.key, pace.next(i))
                done = fitter.fit(data, group.fingerprint, search, starts.get(group.key))
            pace.done(i, seconds_fitting(done.ledger))
            shard.add(done.row)
            evidence.add(len(ledger), done.holdout, done.importance)
            ledger.append(done.ledger)
    result = TaskResult(directory / f"{digest}.sqlite", ledger, evidence.finish(), _keys(ledger))
    result.write(directory / f"{digest}.json")
    current.unlink(missing_ok=True)
    return result


def group_cost(rows: int) -> float:
    """Tell what a group costs, in rows: however small it is, it is cloned, checked and serialized."""
    return rows + _GROUP_COST


def seconds_fitting(row: Mapping[str, Any]) -> float:
    """Time that a group took apart from the search for its parameters."""
    return row["seconds"] - sum(one["seconds"] for one in row["tuning"])


def parents_best(key: GroupKey, best: Mapping[GroupKey, Found]) -> Found:
    """Look up what the nearest parent found.

    Parameters
    ----------
    key
        A group's key.
    best
        Parent's key → what it found.
    """
    return next((best[key[:level]] for level in range(len(key) - 1, -1, -1) if key[:level] in best), Found({}))


def best_found(rows: Iterable[Mapping[str, Any]]) -> dict[GroupKey, Found]:
    """Collect what searches found, from ledger rows, by key."""
    found = {}
    for row in rows:
        searched = [one for one in row["tuning"] if one["params"]]
        if searched:
            times = [one["latest"] for one in searched if one["latest"] is not None]
            params = {one["candidate"]: one["params"] for one in searched}
            found[decode_key(row["key"])] = Found(params, max(times, default=None))
    return found


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
    path = directory / "skipped.sqlite"
    path.unlink(missing_ok=True)
    ledger = []
    with ShardWriter(path) as shard:
        for key, rows in sizes.items():
            outcome = GroupOutcome(key, "skipped", rows, f"max_group_rows: {count(rows, 'row')}, {limit:,} allowed")
            row = ShardRow(encode_key(key), len(key), outcome.status, outcome.reason)
            shard.add(row)
            ledger.append(_ledger_row(outcome, "", row))
    return TaskResult(path, ledger, Evidence(), [])


def _keys(ledger: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["key"] for row in ledger]


def _mark(marker: Any, key: GroupKey) -> None:
    # If this process is killed, the file says which group it was at.
    marker.seek(0)
    marker.write(encode_key(key))
    marker.truncate()
    marker.flush()


def killed(key: GroupKey, rows: int) -> GroupOutcome:
    """Make the outcome of a group that ends every process that fits it."""
    error = "WorkerDied: the process that fitted this group was killed (out of memory, or a crash in native code)."
    return GroupOutcome(key, "failed", rows, "worker_died", error)


def _serialize(outcome: GroupOutcome, codec: Codec, factors: list[float]) -> tuple[GroupOutcome, ShardRow]:
    level, key = len(outcome.key), encode_key(outcome.key)
    if outcome.child is not None:
        try:
            blob = codec.dumps(outcome.child)
            if len(factors) < _MEASURED_CHILDREN:
                factors.append(resident_factor(codec, blob))
        except Exception as error:  # noqa: BLE001 - a child that cannot be stored fails alone
            tuning = [{**one, "chosen": False} for one in outcome.tuning]
            outcome = replace(outcome, status="failed", reason="not_serializable", child=None, tuning=tuning)
            outcome = replace(outcome, error=error_text(error))
        else:
            resident = int(len(blob) * sum(factors) / len(factors))
            return outcome, ShardRow.of_child(key, level, outcome.reason, blob, resident)
    reason = "; ".join(part for part in (outcome.reason, outcome.error) if part)
    return outcome, ShardRow(key, level, outcome.status, reason)


def _ledger_row(outcome: GroupOutcome, fingerprint: str, row: ShardRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "level": row.level,
        "status": outcome.status,
        "reason": outcome.reason,
        "error": outcome.error,
        "rows": outcome.rows,
        "seconds": outcome.seconds,
        "estimator": outcome.estimator,
        "params": outcome.params,
        **outcome.metrics,
        **GROUP_FACTS,
        **outcome.facts,
        "fingerprint": fingerprint,
        "bytes": len(row.child or b""),
        "sha256": row.sha256,
        "warnings": outcome.warnings,
        "resident": row.resident,
        "tuning": list(outcome.tuning),
        "contest": None if outcome.contest is None else outcome.contest.to_dict(),
    }
