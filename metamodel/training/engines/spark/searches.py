"""What the searches of the groups of a phase start from, and when they end: by numbers, as workers know groups."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metamodel.fitting.tuning import Found, Pace, Search

__all__ = ["Searches"]


@dataclass(frozen=True)
class Searches:
    """What the searches of one phase start from, and when they end.

    Parameters
    ----------
    first
        Group's number → what its parent found.
    costs
        Of the groups of every task, in the order of their numbers; empty where there is no end.
    end
        When the searches have to be over, a point of the monotonic clock.
    """

    first: Mapping[int, Found] = field(default_factory=dict)
    costs: Sequence[Sequence[float]] = ()
    end: float = math.inf

    # Each machine counts from its own start: between them the end is a point of the wall clock.
    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "end": self.end - time.monotonic() + time.time()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, end=state["end"] - time.time() + time.monotonic())

    def pace(self, number: int) -> Pace:
        """Share the time out over the groups of the task whose first group has this number."""
        start = 0
        for costs in self.costs:
            if number < start + len(costs):
                return Pace(costs, self.end, first=start)
            start += len(costs)
        return Pace([], math.inf)

    def of(self, number: int, pace: Pace, refusal: str) -> Search:
        """Say what one group's search starts from, and when it ends."""
        found = self.first.get(number, Found({}))
        return Search(found.params, *pace.next(number), refusal=refusal, first_latest=found.latest)
