"""Run the tasks of a training on this machine, level by level where parents go first; a finished one never twice."""

import math
from collections.abc import Iterator
from pathlib import Path

from metamodel.backends.base import Backend, Job, balance
from metamodel.backends.phases import Phases
from metamodel.backends.task import Task, TaskResult
from metamodel.planning import GroupRows, TablePlan
from metamodel.starts import Starts

__all__ = ["fit_on_this_machine"]


def fit_on_this_machine(
    plan: TablePlan, backend: Backend, end: float, starts: Starts | None, directory: Path, share: float
) -> Iterator[TaskResult]:
    """Run the tasks that were not done before; results come as they are ready."""
    job = Job(plan, directory, share, starts)
    limit = plan.options.max_group_rows
    groups = [group for group in plan.groups() if limit is None or len(group.rows) <= limit]
    phases = Phases(plan, {group.key: len(group.rows) for group in groups}, backend.parallelism, end)
    for i, levels in enumerate(phases.levels):
        for result in _phase([group for group in groups if len(group.key) in levels], job, backend, phases, i):
            phases.learn(result.ledger)
            yield result


def _phase(groups: list[GroupRows], job: Job, backend: Backend, phases: Phases, number: int) -> Iterator[TaskResult]:
    end = phases.end_of(number)
    shares = balance([len(group.rows) for group in groups], backend.parallelism, once=math.isfinite(end))
    missing = []
    for mine in (tuple(groups[i] for i in share) for share in shares):
        task = Task(mine, first=phases.first_of([group.key for group in mine]), end=end)
        done = job.finished(task)
        if done is None:
            missing.append(task)
        else:
            yield done
    yield from backend.run(missing, job)
