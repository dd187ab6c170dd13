"""Make a bundle of what the tasks of a training hand back: shards, ledger, verdicts, figures, stacks, manifest."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.backends import TaskResult, skip_groups
from metamodel.bundle_writing import ShardMerger, finish_bundle, new_bundle, prune_children
from metamodel.checks import Finding
from metamodel.describing import describe
from metamodel.evidence import gather_holdouts, gather_importance, write_evidence
from metamodel.group_figures import write_figures
from metamodel.heldout import kept_share
from metamodel.intervals import with_intervals
from metamodel.ledger import assemble, judge, refuse_empty, summarize, tuning_table
from metamodel.manifest import BLENDED_VERSION, Manifest
from metamodel.packing import stack_plan
from metamodel.planning import Plan
from metamodel.progress import TrainingProgress
from metamodel.showing import preformatted, result_line, summary_text
from metamodel.shrinkage import weight_columns
from metamodel.superseding import fitted_again, superseded
from metamodel.weighing import check_weights, shrink

__all__ = ["Fit", "TrainingResult", "fit_and_assemble"]

# Folder for what tasks leave behind, and share of the held-out rows to keep → what each task did, as it is done.
Fit = Callable[[Path, float], Iterator[TaskResult]]


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves behind; `print` shows the summary.

    Attributes
    ----------
    ledger
        DataFrame, one row for every group and level.
    summary
        Counts of groups and rows, and the aggregates of every metric over the groups.
    bundle_path
        The bundle's directory.
    manifest
        What the bundle says of itself.
    data
        The training table, as it was given; of a Spark table its first rows.
    source
        Where the table came from, for the run's dataset.
    holdout
        DataFrame, one row for every held-out row of every child, with what the child and its parents predicted for
        it before they had seen it; see docs/report.md.
    importance
        DataFrame, how much each feature counts for each group; see docs/report.md.
    findings
        What the data checks found; see `metamodel.checks.Finding`.
    tuning
        DataFrame, one row for every group and candidate whose parameters were searched; without tuning, no rows.
    """

    ledger: pd.DataFrame
    summary: dict[str, Any]
    bundle_path: Path
    manifest: Manifest
    data: pd.DataFrame
    source: str
    holdout: pd.DataFrame
    importance: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        return result_line(self.summary, self.manifest, self.bundle_path)

    def __str__(self) -> str:
        return summary_text(self.summary)

    def _repr_html_(self) -> str:
        return preformatted(str(self))


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
