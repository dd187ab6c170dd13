"""Results of tasks in the order of the tasks, whichever was done first: the same training writes the same files."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from metamodel.training.engines.task import TaskResult

__all__ = ["InTurn", "Turns"]


class Turns:
    """Makes turns of a training of those of its phases, each of which counts its tasks from 0."""

    def __init__(self) -> None:
        self._before = 0

    def numbered(self, results: Iterable[TaskResult]) -> Iterator[TaskResult]:
        """Count on from the phases before in the results of the next one; those without a turn stay so."""
        before = self._before
        for result in results:
            self._before += 1
            yield result if result.turn is None else replace(result, turn=before + result.turn)


class InTurn:
    """Keeps results until those before them have come; one without a turn is handed on at once."""

    def __init__(self) -> None:
        self._next = 0
        self._waiting: dict[int, TaskResult] = {}

    def ready(self, result: TaskResult) -> Iterator[TaskResult]:
        """Take a result in, and hand out those whose turn it is."""
        if result.turn is None:
            yield result
            return
        self._waiting[result.turn] = result
        while self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next += 1

    def check_empty(self) -> None:
        """Insist that every task had its turn: a group must not get lost."""
        if self._waiting:
            raise RuntimeError(f"Results of the tasks {sorted(self._waiting)} came, and none of task {self._next}.")
