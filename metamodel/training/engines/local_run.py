"""Run the tasks of a training on this machine, level by level where parents go first; a finished one never twice."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from metamodel.training.earlier_children import Starts
from metamodel.training.engines.base import Backend, Job, balance
from metamodel.training.engines.phases import Phases
from metamodel.training.engines.reselection import Choices
from metamodel.training.engines.task import Task, TaskResult
from metamodel.training.plan import GroupRows, TablePlan

__all__ = ["fit_on_this_machine"]


def fit_on_this_machine(
    plan: TablePlan, backend: Backend, end: float, starts: Starts | None, directory: Path, share: float
) -> Iterator[TaskResult]:
    """Run the tasks that were not done before; results come as they are ready.

    Where candidates compete, groups in which the other groups' rows choose another one are fitted again at the end.
    """
    job = Job(plan, directory, share, starts)
    limit = plan.options.max_group_rows
    groups = [group for group in plan.groups() if limit is None or len(group.rows) <= limit]
    phases = Phases(plan, {group.key: len(group.rows) for group in groups}, backend.parallelism, end)
    choices = Choices(plan.spec)
    for i, levels in enumerate(phases.levels):
        for result in _phase([group for group in groups if len(group.key) in levels], job, backend, phases, i):
            phases.learn(result.ledger)
            choices.learn(result.ledger)
            yield result
    again = choices.plan_again(plan)
    if again is not None:
        few = [group for group in groups if group.key in again.spec.overrides]
        for result in _phase(few, replace(job, plan=again), backend, phases, len(phases.levels) - 1):
            yield replace(result, again=True)


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
