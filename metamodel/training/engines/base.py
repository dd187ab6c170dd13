"""What an engine is: it runs tasks and yields their results; and how groups are shared out over tasks."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metamodel.training.earlier_children import Starts
from metamodel.training.engines.task import Task, TaskResult, group_cost
from metamodel.training.plan import TablePlan

__all__ = ["Backend", "Job", "balance"]


def balance(sizes: Sequence[int], parallelism: int, *, once: bool = False) -> list[list[int]]:
    """Share groups out over tasks by rows: the largest first, each to the task that has least.

    Parameters
    ----------
    sizes
        Rows of each group.
    parallelism
        How many tasks run at a time.
    once
        As many tasks as run at a time and no more, so that each knows from the start all that it has to do in time.

    Returns
    -------
    list of list of int
        Positions in `sizes` for every task, the task with the largest group first.

    Examples
    --------
    >>> balance([5, 1000, 7, 6], parallelism=1)
    [[1], [2], [3], [0]]
    """
    number = min(len(sizes), parallelism if once else max(8 * parallelism, len(sizes) // 500))
    heap = [(0.0, i) for i in range(number)]
    shares: list[list[int]] = [[] for _ in range(number)]
    for group in sorted(range(len(sizes)), key=lambda group: sizes[group], reverse=True):
        cost, i = heapq.heappop(heap)
        shares[i].append(group)
        heapq.heappush(heap, (cost + group_cost(sizes[group]), i))
    return shares


@dataclass(frozen=True)
class Job:
    """What all tasks of one training have in common.

    Parameters
    ----------
    plan
        The plan, with the whole table.
    directory
        Where tasks leave their files.
    kept_share
        Share of the held-out rows to hand back, from `holdout.kept_share`.
    starts
        What fits go on from; None where they start from nothing.
    """

    plan: TablePlan
    directory: Path
    kept_share: float = 1.0
    starts: Starts | None = None

    def digest(self, task: Task) -> str:
        """Name of a task's files."""
        started = "" if self.starts is None else self.starts.digest
        return task.digest(f"{self.plan.digest}{self.kept_share}{started}")

    def finished(self, task: Task) -> TaskResult | None:
        """Read the result of a task that was done before, if it was."""
        path = self.directory / f"{self.digest(task)}.json"
        return TaskResult.read(path) if path.is_file() and path.with_suffix(".sqlite").is_file() else None

    def work_of(self, task: Task) -> tuple[Any, ...]:
        """Gather what `task.run_task` needs: the rows group by group, and what the groups go on from, if anything."""
        rows = self.plan.table.take(np.concatenate([group.rows for group in task.groups]))
        starts = {} if self.starts is None else self.starts.of(group.key for group in task.groups)
        plan, digest = self.plan, self.digest(task)
        return task, rows, plan.spec, plan.options.codec, self.directory, digest, self.kept_share, starts


class Backend(ABC):
    """Runs tasks."""

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    @abstractmethod
    def run(self, tasks: Sequence[Task], job: Job) -> Iterator[TaskResult]:
        """Run every task, and yield each result as it comes."""
