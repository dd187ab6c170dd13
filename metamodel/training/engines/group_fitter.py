"""One group in an engine's process: fit it, serialize its child, and write down what became of it."""

from dataclasses import dataclass, replace

from metamodel.bundle.codecs import Codec, get_codec, resident_factor
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shards import ShardRow
from metamodel.common.messages import error_text
from metamodel.evaluation.holdout import HeldOut
from metamodel.evaluation.importance import Importance, importance_of
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData, GroupOutcome
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.tuning import Search
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.earlier_children import PackedStart

__all__ = ["TRIAL_KILLED", "GroupFitter", "GroupRecord", "ledger_row", "seconds_fitting", "worker_died"]

# Why a group is fitted untuned whose search did not survive.
TRIAL_KILLED = "a trial killed its process"


@dataclass(frozen=True)
class GroupRecord:
    """What remains of one group: its row of the shard, its row of the ledger, held-out rows and importances."""

    row: ShardRow
    ledger: LedgerRow
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
        self.codec = get_codec(codec_name)
        self._kept_share = kept_share
        # Memory of the first child of each estimator for each byte of it, by which the others are charged.
        self.factors: dict[str, float] = {}

    def fit(
        self,
        data: GroupData,
        fingerprint: str,
        search: Search | None = None,
        start: PackedStart | None = None,
        note: str = "",
    ) -> GroupRecord:
        """Fit one group; the ledger's reason begins with `note`, if there is one."""
        outcome = fit_group(data, self._spec.of(data.key), search, None if start is None else start.open())
        if note:
            outcome = replace(outcome, reason="; ".join(part for part in (note, outcome.reason) if part))
        importance = None if outcome.child is None else importance_of(outcome.child, data.x)
        return self.record(outcome, fingerprint, importance)

    def record(
        self, outcome: GroupOutcome, fingerprint: str, importance: Importance | None = None, blob: bytes | None = None
    ) -> GroupRecord:
        """Serialize what became of a group; `blob` is its child, where that was serialized before."""
        if blob is None:
            outcome, row = _serialize(outcome, self.codec, self.factors)
        else:
            row = _row_of_child(outcome, self.codec, blob, self.factors)
        ledger = ledger_row(outcome, fingerprint, row)
        if outcome.status != "fitted":
            return GroupRecord(row, ledger)
        held = None if outcome.holdout is None else outcome.holdout.sample(self._kept_share)
        return GroupRecord(row, ledger, held, importance)


def _serialize(outcome: GroupOutcome, codec: Codec, factors: dict[str, float]) -> tuple[GroupOutcome, ShardRow]:
    level, key = len(outcome.key), encode_key(outcome.key)
    if outcome.child is not None:
        try:
            return outcome, _row_of_child(outcome, codec, codec.dumps(outcome.child), factors)
        except Exception as error:  # noqa: BLE001 - a child that cannot be stored fails alone
            tuning = [{**record, "chosen": False} for record in outcome.tuning]
            outcome = replace(outcome, status="failed", reason="not_serializable", child=None, tuning=tuning)
            outcome = replace(outcome, error=error_text(error))
    reason = "; ".join(part for part in (outcome.reason, outcome.error) if part)
    return outcome, ShardRow(key, level, outcome.status, reason)


def _row_of_child(outcome: GroupOutcome, codec: Codec, blob: bytes, factors: dict[str, float]) -> ShardRow:
    if outcome.estimator not in factors:
        factors[outcome.estimator] = resident_factor(codec, blob)
    resident = int(len(blob) * factors[outcome.estimator])
    return ShardRow.of_child(encode_key(outcome.key), len(outcome.key), outcome.reason, blob, resident)


def ledger_row(outcome: GroupOutcome, fingerprint: str, row: ShardRow) -> LedgerRow:
    """Say in the ledger's words what became of a group.

    Parameters
    ----------
    outcome
        What the fit says; its facts are columns of the ledger.
    fingerprint
        Digest of the group's rows.
    row
        What the shard holds of it.
    """
    return LedgerRow(
        row.key,
        row.level,
        outcome.status,
        outcome.rows,
        reason=outcome.reason,
        error=outcome.error,
        seconds=outcome.seconds,
        estimator=outcome.estimator,
        params=outcome.params,
        metrics=outcome.metrics,
        fingerprint=fingerprint,
        bytes=len(row.child or b""),
        sha256=row.sha256,
        warnings=outcome.warnings,
        resident=row.resident,
        tuning=tuple(outcome.tuning),
        contest=outcome.contest,
        **outcome.facts,
    )


def worker_died(key: GroupKey, rows: int) -> GroupOutcome:
    """Make the outcome of a group that ends every process that fits it."""
    error = "WorkerDied: the process that fitted this group was killed (out of memory, or a crash in native code)."
    return GroupOutcome(key, "failed", rows, "worker_died", error)


def seconds_fitting(row: LedgerRow) -> float:
    """Time that a group took apart from the search for its parameters."""
    return row.seconds - sum(record["seconds"] for record in row.tuning)
