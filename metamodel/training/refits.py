"""Put groups that were fitted again in the place of what was handed back of them before."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.ledger import LedgerRow
from metamodel.training.engines.task import TaskResult

__all__ = ["fitted_again", "superseded", "without"]


def fitted_again(result: TaskResult) -> set[str]:
    """List the encoded keys of the groups that a result has a new, judged child of; the others stay as they were."""
    return {row.key for row in result.ledger if row.status == "fitted" and row.folds}


def superseded(results: Sequence[TaskResult]) -> list[TaskResult]:
    """Leave every group once.

    Parameters
    ----------
    results
        Of which those with `again` stand for groups of the others, too.

    Returns
    -------
    list of TaskResult
        As many, in the same order.
    """
    again = {key for result in results if result.again for key in fitted_again(result)}
    if not any(result.again for result in results):
        return list(results)
    before = {row.key: row for result in results if not result.again for row in result.ledger if row.key in again}
    kept = [_only(result, fitted_again(result)) if result.again else without(result, again) for result in results]
    return [
        replace(result, ledger=[_joined(before[row.key], row) for row in result.ledger]) if result.again else result
        for result in kept
    ]


def _joined(before: LedgerRow, row: LedgerRow) -> LedgerRow:
    """Add to a group's new row what only the first fit knows."""
    notes = [row.reason, *(() if before.contest is None else before.contest.notes)]
    reason = "; ".join(note for note in notes if note)
    seconds = before.seconds + row.seconds
    return replace(row, seconds=seconds, own_best=before.own_best, reason=reason, contest=before.contest)


def without(result: TaskResult, keys: Collection[str]) -> TaskResult:
    """Leave some groups out of a result."""
    return _only(result, {row.key for row in result.ledger} - set(keys))


def _only(result: TaskResult, keys: Collection[str]) -> TaskResult:
    if len(keys) == len(result.ledger):
        return result
    numbers = pa.array([number for number, key in enumerate(result.keys) if key in keys], type=pa.int64())
    evidence = Evidence(*(_rows_of(part, numbers) for part in (result.evidence.holdout, result.evidence.importance)))
    return replace(
        result,
        ledger=[row for row in result.ledger if row.key in keys],
        evidence=evidence,
        samples={key: rows for key, rows in result.samples.items() if key in keys},
        seen={key: hashes for key, hashes in result.seen.items() if key in keys},
    )


def _rows_of(table: pa.Table | None, numbers: pa.Array) -> pa.Table | None:
    if table is None:
        return None
    kept = table.filter(pc.is_in(table.column("group"), value_set=numbers))
    return kept if kept.num_rows else None
