"""Fit models on the rows of all groups at a time: the pooled one, and how it and the global one answer strangers."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from metamodel.common.arrays import IntArray
from metamodel.training.engines.executor import TaskExecutor
from metamodel.training.engines.job import Job
from metamodel.training.engines.pooled import pooled_plan, strangers_plan
from metamodel.training.engines.task import Task, TaskResult
from metamodel.training.plan import GroupRows, TablePlan, TrainingTable

__all__ = ["fit_pooled"]


def fit_pooled(job: Job[TablePlan], executor: TaskExecutor, global_candidate: str) -> Iterator[TaskResult]:
    """Fit the pooled model, and judge it and the global one on groups that they have not seen.

    Parameters
    ----------
    job
        The training.
    executor
        Runs the fits.
    global_candidate
        Name of the candidate that the global model was fitted with; empty where there is none.
    """
    plan, rows = pooled_plan(job.plan), _in_order(job.plan.table)
    (fitted,) = _fit_rows(rows, job, plan, executor)
    yield replace(fitted, pooled=True)
    for rival, candidate, is_pooled in (
        (plan, fitted.ledger[0].candidate, True),
        (job.plan, global_candidate, False),
    ):
        if (judging := strangers_plan(rival, candidate)) is not None:
            (judged,) = _fit_rows(rows, job, judging, executor)
            yield replace(judged, pooled=is_pooled, strangers=True)


def _in_order(table: TrainingTable) -> IntArray:
    """Sort rows by their content and their group.

    The order of files and partitions then changes nothing, and folds that an estimator makes of rows which follow one
    another are no groups.
    """
    others = (values for values in (table.weights, table.children) if values is not None)
    return np.lexsort((*others, table.hashes))


def _fit_rows(rows: IntArray, job: Job[TablePlan], plan: TablePlan, executor: TaskExecutor) -> list[TaskResult]:
    """Fit one model on all rows."""
    job = replace(job, plan=plan, starts=None)
    task = Task((GroupRows((), rows, plan.table.fingerprint(rows)),))
    done = job.finished(task)
    return list(executor.run([task], job)) if done is None else [done]
