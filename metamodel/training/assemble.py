"""Make a bundle of what the tasks of a training hand back: shards, ledger, verdicts, group values, stacks, manifest."""

import datetime as dt
import itertools
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.carry.contests import write_contests
from metamodel.bundle.carry.recipe import write_recipe
from metamodel.bundle.diagnostics import gather_holdouts, gather_importance, write_evidence
from metamodel.bundle.group_values import write_group_values
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.manifest import Manifest, Target
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME
from metamodel.bundle.writer import ShardMerger, finish_bundle, library_versions, new_bundle, prune_children
from metamodel.common.background import Background
from metamodel.common.collecting import seldom_collecting
from metamodel.common.group_status import OUTCOMES, TRAINED
from metamodel.common.progress import TrainingProgress
from metamodel.common.uris import without_credentials
from metamodel.evaluation.holdout import kept_share
from metamodel.evaluation.significance import saved_together
from metamodel.fitting.described_candidates import described_candidates
from metamodel.fitting.stored_rows import stored_row_findings
from metamodel.tables.checks import Finding
from metamodel.training.blend_weights import Shrunk, shrink
from metamodel.training.build_stacks import NO_STACKS, stack_plan
from metamodel.training.calibrate_intervals import with_intervals
from metamodel.training.carrying.joining import Carrying
from metamodel.training.carrying.provenance import with_provenance
from metamodel.training.carrying.seen_rows import record_seen
from metamodel.training.carrying.update_plan import FROM_NOTHING, Lineage, Update
from metamodel.training.engines.in_turn import InTurn
from metamodel.training.engines.pooled import with_pooled
from metamodel.training.engines.task import TaskResult, leave_alone, skip_groups
from metamodel.training.fit_warnings import warning_findings
from metamodel.training.ledger_rows import in_shard, refuse_empty, to_ledger, tuning_table
from metamodel.training.monitored.record_reference import record_reference
from metamodel.training.plan import Plan
from metamodel.training.pooled_answers import PooledAnswers, Rivals, choose_pooled
from metamodel.training.prune import compare_and_prune
from metamodel.training.refits import fitted_again, superseded, without
from metamodel.training.result import TrainingResult
from metamodel.training.summarize import summarize

__all__ = ["Fit", "fit_and_assemble"]

_LOG = logging.getLogger(__name__)

# Folder for what tasks leave behind, and share of the held-out rows to keep → what each task did, as it is done.
Fit = Callable[[Path, float], Iterator[TaskResult]]

# Libraries whose versions the manifest holds.
_PACKAGES = ("metamodel", "mlflow", "scikit-learn", "pandas", "numpy", "pyarrow", "joblib", "cloudpickle", "skops")


def fit_and_assemble(
    plan: Plan,
    fit: Fit,
    path: Path,
    data: pd.DataFrame,
    source: str,
    findings: Sequence[Finding],
    end: float,
    lineage: Lineage = FROM_NOTHING,
) -> TrainingResult:
    """Let an engine fit all groups of a plan, and write the bundle.

    Parameters
    ----------
    plan
        What to train.
    fit
        Runs the tasks.
    path
        Where the bundle shall stand.
    data, source, findings
        For the result: the table, where it came from, and what the data checks found.
    end
        When stacking has to be over, a point of the monotonic clock; children that are left are not stacked.
    lineage
        How it was asked for, and what is carried over from the version before.

    Raises
    ------
    InputError
        Something else than a bundle stands at `path`.
    AllGroupsFailed
        Not one group could be fitted.
    """
    share = kept_share(plan.rows, plan.options.holdout if plan.options.scheme.kind == "holdout" else 1.0)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    with ExitStack() as until_done:
        directory, tasks = until_done.enter_context(new_bundle(path))
        steps = itertools.chain(_left_out(plan, lineage.update, tasks), fit(tasks, share))
        gathered = _gather(steps, directory, plan, lineage.update)
        until_done.enter_context(seldom_collecting())  # rows of the ledger are many small objects
        tuning = tuning_table(gathered.rows, plan)
        judged = _judge(gathered, plan, now, lineage, directory)
        findings = [*findings, *_told(judged.findings)]
        manifest = replace(_manifest(plan, judged.ledger, gathered.rows, findings, now), pooled=judged.pooled)
        with Background() as background:
            manifest, ledger, cost = _write(directory, plan, manifest, gathered, judged, lineage, end, background)
    summary = {**judged.summary, **cost, "data_findings": len(findings)}
    return TrainingResult(
        ledger, summary, path, manifest, data, source, judged.shrunk.holdout, judged.importance, tuple(findings), tuning
    )


def _write(
    directory: Path,
    plan: Plan,
    manifest: Manifest,
    gathered: "_Gathered",
    judged: "_Judged",
    lineage: Lineage,
    end: float,
    background: Background,
) -> tuple[Manifest, pd.DataFrame, dict[str, float]]:
    """Write what lies beside the shards; with the manifest the ledger that it proves, and what the reference cost."""
    started = time.perf_counter()
    if plan.options.reference:
        _record_reference(directory, plan, manifest, gathered, judged, background)
    reference_seconds = time.perf_counter() - started
    samples = {key: sample for result in gathered.results for key, sample in result.samples.items()}
    carrying = gathered.carrying
    manifest, ledger = stack_plan(
        directory, plan, manifest, judged.ledger, samples, end, carrying.stacks() if carrying else NO_STACKS
    )
    holdout = judged.shrunk.holdout if plan.options.keep_rows else judged.shrunk.holdout.iloc[:0]
    write_evidence(directory, holdout, judged.importance, background)
    contests = {row.key: row.contest for row in gathered.rows if row.contest is not None}
    if carrying:
        contests |= carrying.contests()
        ledger = carrying.shards(directory, ledger)
        manifest = replace(manifest, **carrying.manifest(manifest, directory))
    write_contests(directory, contests)
    if plan.options.hashes_seen:
        record_seen(directory, plan, ledger, gathered.results, carrying)
    write_recipe(directory, lineage.recipe, plan.options.codec)
    if len(judged.values.columns):
        manifest = replace(manifest, group_values=write_group_values(directory, judged.values))
    manifest = finish_bundle(directory, manifest, ledger, background)
    file = manifest.files.get(DRIFT_NAME)
    return manifest, ledger, {"reference_bytes": file.size, "reference_seconds": reference_seconds} if file else {}


def _record_reference(
    directory: Path,
    plan: Plan,
    manifest: Manifest,
    gathered: "_Gathered",
    judged: "_Judged",
    background: Background,
) -> None:
    """Record what later rows are compared with; the file is written while the children are stacked."""
    of_workers = [part for result in gathered.results for part in result.references]
    taken_over = (gathered.carrying.previous, gathered.carrying.keys) if gathered.carrying else None
    rows, chain = judged.shrunk.answered_rows, manifest.answering_chain
    record_reference(directory, plan, judged.ledger, rows, chain, of_workers, taken_over, background)


@dataclass(frozen=True)
class _Judged:
    """How the children stand: the ledger, what belongs beside it in the bundle, and the figures of all groups.

    `values` are the numbers that groups answer with; `pooled` is what the manifest says of the pooled model.
    """

    ledger: pd.DataFrame
    shrunk: Shrunk
    importance: pd.DataFrame
    values: pd.DataFrame
    summary: dict[str, Any]
    findings: list[Finding]
    pooled: dict[str, Any] | None


def _judge(gathered: "_Gathered", plan: Plan, now: str, lineage: Lineage, directory: Path) -> _Judged:
    """Compare, blend, prune and calibrate; groups that are carried are seen by the others, and stay as they were."""
    depth, carrying = len(plan.keys.columns), gathered.carrying
    reasons = {} if lineage.update is None else lineage.update.reasons
    decisions = carrying.decisions if carrying else {}
    ledger = with_provenance(to_ledger(gathered.rows, plan), plan, now, reasons, decisions)
    holdouts, importance = _evidence(gathered.results, plan)
    # Before the carried rows come beside: their numbers are those of another table.
    holdouts[depth] = with_pooled(holdouts[depth], gathered.rivals.pooled)
    if carrying:
        ledger, importance = carrying.ledger(ledger), carrying.importance(importance)
        holdouts[depth] = carrying.holdout(holdouts[depth])
    refuse_empty(ledger)
    holdout = holdouts[depth]
    shrunk = shrink(ledger, holdout, plan)
    chosen, gone = _without_children(shrunk, holdout, plan, gathered.rivals, directory)
    findings = warning_findings(chosen.ledger, plan.keys) + chosen.findings() + gathered.rivals.missing(plan)
    findings += stored_row_findings(plan.spec.every_candidate, chosen.ledger["candidate"])
    answers, interval = chosen.answers(shrunk.answers(holdouts)), plan.options.interval
    ledger, radii, reached = with_intervals(chosen.ledger, answers, plan.keys, interval, plan.answering_levels)
    weights = shrunk.weights.drop(index=gone, errors="ignore")
    values = pd.concat([table for table in (weights, radii) if len(table.columns)] or [pd.DataFrame()], axis=1)
    if carrying:
        ledger, values = carrying.as_before(ledger), carrying.group_values(values)
    together = saved_together(holdout, plan.spec.task)
    summary = {**summarize(ledger, plan), **together, **shrunk.summary, **reached}
    return _Judged(ledger, shrunk, importance, values, summary, findings, chosen.described)


def _left_out(plan: Plan, update: Update | None, directory: Path) -> list[TaskResult]:
    """Record the groups that are not fitted, without a look at their rows: too large ones, and new ones left alone."""
    sizes = plan.sizes_of_all_levels()
    limit = plan.options.max_group_rows
    oversized = {key: n for key, n in sizes.items() if limit is not None and n > limit and plan.fits(key)}
    results = [skip_groups(oversized, limit or 0, directory)] if oversized else []
    if update is not None and update.untrained:
        results.append(leave_alone({key: sizes[key] for key in update.untrained}, directory))
    return results


def _without_children(
    shrunk: Shrunk, holdout: pd.DataFrame, plan: Plan, rivals: Rivals, directory: Path
) -> tuple[PooledAnswers, list[str]]:
    """Leave out the children that others answer for as well: parents, or the pooled model; with their encoded keys."""
    ledger, pruned = compare_and_prune(shrunk.ledger, holdout, plan, shrunk.answered)
    chosen = choose_pooled(ledger, holdout if shrunk.answered is None else shrunk.answered, plan, rivals)
    prune_children(directory, {key: reason for key, reason in pruned.items() if key not in chosen.reasons})
    chosen.store(directory)
    return chosen, list({**pruned, **chosen.reasons})


def _told(findings: list[Finding]) -> list[Finding]:
    for one in findings:
        _LOG.warning("warning: %s", one.message)
    return findings


def _evidence(results: Sequence[TaskResult], plan: Plan) -> tuple[dict[int, pd.DataFrame], pd.DataFrame]:
    held = [(result.keys, result.evidence.holdout) for result in results]
    importances = [(result.keys, result.evidence.importance) for result in results]
    wanted = plan.options.interval is not None
    holdouts = gather_holdouts(held, len(plan.keys.columns), plan.levels, of_parents=wanted)
    return holdouts, gather_importance(importances, plan.features.names)


@dataclass(frozen=True)
class _Gathered:
    """What the tasks handed back, each group once: its rows of the ledger among it, with the shard that it is in.

    `rivals` are the models of all groups; `carrying` is what is taken over from the version before.
    """

    results: list[TaskResult]
    rows: list[LedgerRow]
    rivals: Rivals
    carrying: Carrying | None


def _gather(steps: Iterable[TaskResult], directory: Path, plan: Plan, update: Update | None) -> _Gathered:
    """Move every task's children into the bundle's shards as they come; the pooled model comes apart."""
    rivals, carrying = Rivals(), None
    results, shards = list[TaskResult](), list[str]()
    merger, queue = ShardMerger(directory), InTurn()
    total = len(plan.sizes_of_all_levels()) if plan.only is None else len(plan.only)
    try:
        with TrainingProgress(total) as progress:
            for result in steps:
                if result.pooled or result.strangers:
                    rivals = rivals.plus(result)
                    continue
                if not result.again:
                    progress.add([row.status for row in result.ledger])
                for ready in queue.ready(result):
                    results.append(ready)
                    again = fitted_again(ready) if ready.again else None
                    shards.append(merger.add(ready.shard) if again is None else merger.replace(ready.shard, again))
        queue.check_empty()
        results = superseded(results)
        if update is not None:
            fits = [row for result in results for row in result.ledger]
            decisions = update.decide(fits)
            kept = {row.key: row for row in fits if row.key in decisions and decisions[row.key].keeps}
            merger.forget(kept.keys())
            results = [without(result, kept.keys()) for result in results]
            carrying = Carrying(update, kept, plan, decisions)
    except BaseException:
        merger.abandon()
        raise
    merger.close()
    rows = [in_shard(row, file) for result, file in zip(results, shards, strict=True) for row in result.ledger]
    return _Gathered(results, rows, rivals, carrying)


def _manifest(
    plan: Plan, ledger: pd.DataFrame, rows: Sequence[LedgerRow], findings: Sequence[Finding], now: str
) -> Manifest:
    """Say what was trained, on what, with which libraries, before the files; `rows` has children that were pruned."""
    stored = set(ledger["sha256"])
    statuses = ledger["status"].value_counts()
    transformed = defaultdict[str, list[int]](list)
    for row in rows:
        if row.status in TRAINED:
            transformed[row.candidate].append(row.transformed)
    return Manifest(
        keys=plan.keys,
        features=plan.features,
        target=Target(plan.options.target, plan.spec.task, plan.target.label_kind, plan.target.classes),
        unknown=plan.options.unknown,
        levels=plan.levels,
        codec=plan.options.codec,
        spec_digest=plan.digest,
        options=without_credentials(
            {**plan.options.to_dict(), "candidates": described_candidates(plan.spec.every_candidate, transformed)}
        ),
        counts={
            **{status: int(statuses.get(status, 0)) for status in OUTCOMES},
            "rows": plan.rows,
            "resident_bytes": sum(row.resident for row in rows if row.sha256 in stored),
        },
        versions=library_versions(_PACKAGES),
        created=now,
        findings=tuple(finding.to_dict() for finding in findings),
        library_settings=plan.spec.settings.to_dict() if plan.spec.settings else None,
    )
