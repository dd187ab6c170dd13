"""Which of Spark's tasks fits which group, and under which number a worker knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from metamodel.fitting.spec import FitSpec
from metamodel.tables.keys import GroupKey
from metamodel.training.engines.balancing import balance, group_cost
from metamodel.training.engines.phases import Phase, parents_best
from metamodel.training.engines.spark.searches import Searches

__all__ = ["Placement", "Seat"]

# What a task costs at least, in rows: some 75 ms go into each for a Python worker, a forked process and its results, in
# which five small groups are fitted.
_LEAST_COST = 1000.0


class Seat(NamedTuple):
    """A group's number, by which it is sorted within its task, and the number of its task."""

    group: int
    task: int


@dataclass(frozen=True)
class Placement:
    """Which task fits which group of a phase; within a task groups are numbered in the order in which they are fitted.

    Attributes
    ----------
    phase
        The groups.
    keys
        The groups in the order of their numbers.
    seats
        Each group's number and its task.
    costs
        Of the groups of every task, in the order of their numbers.
    """

    phase: Phase
    keys: list[GroupKey]
    seats: dict[GroupKey, Seat]
    costs: list[list[float]]

    @classmethod
    def of(cls, phase: Phase, parallelism: int, *, searched: bool = False) -> Self:
        """Share the groups of a phase out over tasks.

        Parameters
        ----------
        phase
            The groups.
        parallelism
            How many tasks run at a time.
        searched
            Whether parameters are searched for every group, so that even a small one takes a while.
        """
        unplaced, sizes = list(phase.sizes), list(phase.sizes.values())
        shares = balance(sizes, parallelism, once=phase.has_end, least=0.0 if searched else _LEAST_COST)
        keys: list[GroupKey] = []
        seats: dict[GroupKey, Seat] = {}
        for task, share in enumerate(shares):
            for i in share:
                seats[unplaced[i]] = Seat(len(keys), task)
                keys.append(unplaced[i])
        return cls(phase, keys, seats, [[group_cost(sizes[i]) for i in share] for share in shares])

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.costs)

    def searches(self) -> Searches:
        """Say by number what each group's search starts from."""
        best = {number: parents_best(key, self.phase.first) for number, key in enumerate(self.keys)}
        first = {number: found for number, found in best.items() if found.params}
        costs: Sequence[Sequence[float]] = self.costs if self.phase.has_end else ()
        return Searches(first, costs, self.phase.end)

    def numbered(self, overrides: Mapping[GroupKey, FitSpec]) -> dict[GroupKey, FitSpec]:
        """Give overrides the keys by which a worker knows its groups; those of other groups are left out."""
        return {(self.seats[key].group,): spec for key, spec in overrides.items() if key in self.seats}
