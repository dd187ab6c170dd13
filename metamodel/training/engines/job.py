"""What all groups of one training have in common, whatever fits them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from metamodel.training.earlier_children import Starts
from metamodel.training.engines.task import Task, TaskResult
from metamodel.training.plan import Plan, TablePlan

__all__ = ["Job", "PlanT"]

PlanT = TypeVar("PlanT", bound=Plan)


@dataclass(frozen=True)
class Job(Generic[PlanT]):
    """One training as its tasks see it.

    Parameters
    ----------
    plan
        What to train.
    directory
        Where tasks leave their files.
    kept_share
        Share of the held-out rows to hand back, from `holdout.kept_share`.
    starts
        What fits go on from; None where they start from nothing.
    """

    plan: PlanT
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

    def work_of(self: "Job[TablePlan]", task: Task) -> tuple[Any, ...]:
        """Gather what `task.run_task` needs: the rows group by group, and what the groups go on from, if anything."""
        rows = self.plan.table.take(np.concatenate([group.rows for group in task.groups]))
        starts = {} if self.starts is None else self.starts.of(group.key for group in task.groups)
        plan, digest = self.plan, self.digest(task)
        return task, rows, plan.spec, plan.options.codec, self.directory, digest, self.kept_share, starts
