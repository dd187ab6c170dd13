"""Make a bundle of what the tasks of a training hand back: shards, ledger, verdicts, figures, stacks, manifest."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from metamodel.bundle.diagnostics import gather_holdouts, gather_importance, write_evidence
from metamodel.bundle.group_values import write_figures
from metamodel.bundle.manifest import BLENDED_VERSION, Manifest
from metamodel.bundle.writer import ShardMerger, finish_bundle, new_bundle, prune_children
from metamodel.common.progress import TrainingProgress
from metamodel.evaluation.holdout import kept_share
from metamodel.prediction.blending import weight_columns
from metamodel.tables.checks import Finding
from metamodel.training.blend_weights import check_weights, shrink
from metamodel.training.build_stacks import stack_plan
from metamodel.training.calibrate_intervals import with_intervals
from metamodel.training.describe import describe
from metamodel.training.engines.task import TaskResult, skip_groups
from metamodel.training.ledger_rows import assemble, judge, refuse_empty, summarize, tuning_table
from metamodel.training.plan import Plan
from metamodel.training.refits import fitted_again, superseded
from metamodel.training.result import TrainingResult

__all__ = ["Fit", "fit_and_assemble"]

# Folder for what tasks leave behind, and share of the held-out rows to keep → what each task did, as it is done.
Fit = Callable[[Path, float], Iterator[TaskResult]]


def fit_and_assemble(
    plan: Plan, fit: Fit, path: Path, data: pd.DataFrame, source: str, found: Sequence[Finding], end: float
) -> TrainingResult:
    """Let a back end fit all groups of a plan, and write the bundle.

    Parameters
    ----------
    plan
        What to train.
    fit
        Runs the tasks.
    path
        Where the bundle shall stand.
    data, source, found
        For the result: the table, where it came from, and what the data checks found.
    end
        When stacking has to be over, a point of the wall clock; children that are left are not stacked.

    Raises
    ------
    InputError
        Something else than a bundle stands at `path`, or the caller's weights fail for the groups' rows.
    AllGroupsFailed
        Not one group could be fitted.
    """
    check_weights(plan)
    sizes = plan.sizes_of_all_levels()
    limit = plan.options.max_group_rows
    oversized = {key: rows for key, rows in sizes.items() if limit is not None and rows > limit}
    share = kept_share(plan.rows, plan.options.holdout if plan.options.scheme.kind == "holdout" else 1.0)
    with new_bundle(path) as (directory, tasks):
        first = [skip_groups(oversized, limit or 0, tasks)] if oversized else []
        results, shards = _gather(itertools.chain(first, fit(tasks, share)), len(sizes), directory)
        located = zip(results, shards, strict=True)
        tuning = tuning_table((row for result in results for row in result.ledger), plan)
        ledger = assemble(({**row, "shard": shard} for result, shard in located for row in result.ledger), plan)
        refuse_empty(ledger)
        holdouts, importance = _evidence(results, plan)
        holdout = holdouts[len(plan.keys.columns)]
        shrunk = shrink(ledger, holdout, plan)
        ledger, pruned = judge(shrunk.ledger, holdout, plan, shrunk.answered)
        prune_children(directory, pruned)
        answers, interval = shrunk.answers(holdouts), plan.options.interval
        ledger, radii, reached = with_intervals(ledger, answers, plan.keys, interval, plan.answering_levels)
        summary = {**summarize(ledger, plan), **shrunk.summary, **reached, "data_findings": len(found)}
        samples = {key: rows for result in results for key, rows in result.samples.items()}
        described = replace(describe(plan, ledger, results), findings=tuple(one.to_dict() for one in found))
        manifest, ledger = stack_plan(directory, plan, described, ledger, samples, end)
        write_evidence(directory, shrunk.holdout, importance)
        weights = shrunk.weights.drop(index=list(pruned), errors="ignore")
        manifest = _with_figures(directory, manifest, [weights, radii])
        manifest = finish_bundle(directory, manifest, ledger)
    return TrainingResult(
        ledger, summary, path, manifest, data, source, shrunk.holdout, importance, tuple(found), tuning
    )


def _with_figures(directory: Path, manifest: Manifest, tables: Sequence[pd.DataFrame]) -> Manifest:
    """Write the numbers of groups that answers need, one column each, under the groups' encoded keys."""
    figures = pd.concat([table for table in tables if len(table.columns)] or [pd.DataFrame()], axis=1)
    if not len(figures.columns):
        return manifest
    blended = weight_columns(0)[0] in figures
    version = BLENDED_VERSION if blended else manifest.format_version
    return replace(manifest, figures=write_figures(directory, figures), format_version=version)


def _evidence(results: Sequence[TaskResult], plan: Plan) -> tuple[dict[int, pd.DataFrame], pd.DataFrame]:
    held = [(result.keys, result.evidence.holdout) for result in results]
    importances = [(result.keys, result.evidence.importance) for result in results]
    wanted = plan.options.interval is not None
    holdouts = gather_holdouts(held, len(plan.keys.columns), plan.levels, of_parents=wanted)
    return holdouts, gather_importance(importances, plan.features.names)


def _gather(steps: Iterable[TaskResult], total: int, directory: Path) -> tuple[list[TaskResult], list[str]]:
    """Move every task's children into the bundle's shards as they come."""
    results: list[TaskResult] = []
    shards: list[str] = []
    merger = ShardMerger(directory)
    try:
        with TrainingProgress(total) as progress:
            for result in steps:
                results.append(result)
                if result.again:
                    shards.append(merger.replace(result.shard, fitted_again(result)))
                else:
                    shards.append(merger.add(result.shard))
                    progress.add([row["status"] for row in result.ledger])
    except BaseException:
        merger.abandon()
        raise
    merger.close()
    return superseded(results), shards
