"""What an engine is: it runs tasks and yields their results."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metamodel.backends.task import Task, TaskResult
from metamodel.planning import Plan, TrainingTable

__all__ = ["Backend", "Job"]


@dataclass(frozen=True)
class Job:
    """What all tasks of one training have in common.

    Parameters
    ----------
    plan
        The plan, with the whole table.
    directory
        Where tasks leave their files.
    shown_rows
        Holdout rows of each group to hand back for the plot.
    """

    plan: Plan
    directory: Path
    shown_rows: int

    def digest(self, task: Task) -> str:
        """Name of a task's files."""
        return task.digest(self.plan.digest)

    def finished(self, task: Task) -> TaskResult | None:
        """Read the result of a task that was done before, if it was."""
        path = self.directory / f"{self.digest(task)}.json"
        return TaskResult.read(path) if path.is_file() and path.with_suffix(".sqlite").is_file() else None

    def rows_of(self, task: Task) -> TrainingTable:
        """Gather the rows of a task, group by group."""
        return self.plan.table.take(np.concatenate([group.rows for group in task.groups]))


class Backend(ABC):
    """Runs tasks."""

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    @abstractmethod
    def run(self, tasks: Sequence[Task], job: Job) -> Iterator[TaskResult]:
        """Run every task, and yield each result as it comes."""
