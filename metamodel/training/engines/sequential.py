"""The reference engine: one task after the other in this process. Children may use every core themselves."""

from collections.abc import Iterator, Sequence

from metamodel.training.engines.base import Backend, Job
from metamodel.training.engines.task import Task, TaskResult, run_task

__all__ = ["SequentialBackend"]


class SequentialBackend(Backend):
    """Runs tasks one after the other."""

    @property
    def parallelism(self) -> int:
        """One."""
        return 1

    def run(self, tasks: Sequence[Task], job: Job) -> Iterator[TaskResult]:
        """Run every task in the given order."""
        for task in tasks:
            yield run_task(*job.work_of(task))
