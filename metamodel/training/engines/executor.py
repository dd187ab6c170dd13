"""What runs the tasks of this machine's engine: one after the other here, or many processes (`joblib_pool`)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from metamodel.training.engines.job import Job
from metamodel.training.engines.task import Task, TaskResult, run_task
from metamodel.training.plan import TablePlan

__all__ = ["SequentialExecutor", "TaskExecutor"]


class TaskExecutor(ABC):
    """Runs tasks."""

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    @abstractmethod
    def run(self, tasks: Sequence[Task], job: Job[TablePlan]) -> Iterator[TaskResult]:
        """Run every task, and yield each result as it comes."""


class SequentialExecutor(TaskExecutor):
    """The reference: one task after the other in this process. Children may use every core themselves."""

    @property
    def parallelism(self) -> int:
        """One."""
        return 1

    def run(self, tasks: Sequence[Task], job: Job[TablePlan]) -> Iterator[TaskResult]:
        """Run every task in the given order."""
        for task in tasks:
            yield run_task(*job.work_of(task))
