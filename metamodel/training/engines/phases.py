"""Phases of a training: parents are tuned before their children, so that children can try what their parents found.

Without tuning, or without parents, there is one phase.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from metamodel.bundle.ledger import LedgerRow
from metamodel.fitting.tuning import Found, phase_end
from metamodel.tables.keys import GroupKey, decode_key
from metamodel.training.engines.balancing import group_cost
from metamodel.training.plan import Plan

__all__ = ["Phase", "Phases", "best_found", "parents_best"]


@dataclass(frozen=True)
class Phase:
    """Groups that are fitted at the same time, and what the searches for their parameters start from.

    Attributes
    ----------
    sizes
        Rows of each of these groups.
    first
        Parent's key → what it found, of all groups that were fitted before.
    end
        When the searches have to be over, a point of the monotonic clock.
    """

    sizes: Mapping[GroupKey, int]
    first: Mapping[GroupKey, Found]
    end: float

    @property
    def has_end(self) -> bool:
        """Whether time is short, so that every task has to know from the start all that it has to do."""
        return math.isfinite(self.end)

    def first_of(self, keys: Iterable[GroupKey]) -> dict[GroupKey, Found]:
        """Say what the parents of some groups found, the global model first."""
        parents = {key[:level] for key in keys for level in range(len(key))}
        return {parent: self.first[parent] for parent in sorted(parents & self.first.keys(), key=len)}


class Phases:
    """The phases of a training, in order; iterate over them, and tell what came out of each before the next.

    Parameters
    ----------
    plan
        The plan.
    sizes
        Rows of every group that is to be fitted.
    parallelism
        How many groups are fitted at a time.
    end
        When the last search has to be over, a point of the monotonic clock.
    """

    def __init__(self, plan: Plan, sizes: Mapping[GroupKey, int], parallelism: int, end: float) -> None:
        deepest = len(plan.keys.columns)
        together = plan.spec.tuning is None
        levels = [(deepest, *plan.levels)] if together else [(level,) for level in sorted((deepest, *plan.levels))]
        self._sizes = [{key: rows for key, rows in sizes.items() if len(key) in fitted} for fitted in levels]
        self._costs = [list(map(group_cost, phase.values())) for phase in self._sizes]
        self._parallelism = parallelism
        self._end = end
        self._found: dict[GroupKey, Found] = {}

    def __iter__(self) -> Iterator[Phase]:
        """Begin one phase after the other; one without groups is left out."""
        for number, sizes in enumerate(self._sizes):
            if sizes:
                yield self._begin(number, sizes)

    def learn(self, rows: Iterable[LedgerRow]) -> None:
        """Take over what the groups of some ledger rows found."""
        self._found |= best_found(rows)

    def again(self, keys: Iterable[GroupKey]) -> Phase:
        """Begin one more phase behind the last one, with groups that were fitted before."""
        sizes = {key: rows for phase in self._sizes for key, rows in phase.items()}
        return self._begin(len(self._sizes) - 1, {key: sizes[key] for key in keys})

    def _begin(self, number: int, sizes: Mapping[GroupKey, int]) -> Phase:
        end = phase_end(self._costs[number:], self._parallelism, time.monotonic(), self._end)
        return Phase(sizes, dict(self._found), end)


def parents_best(key: GroupKey, best: Mapping[GroupKey, Found]) -> Found:
    """Look up what the nearest parent found.

    Parameters
    ----------
    key
        A group's key.
    best
        Parent's key → what it found.
    """
    return next((best[key[:level]] for level in range(len(key) - 1, -1, -1) if key[:level] in best), Found({}))


def best_found(rows: Iterable[LedgerRow]) -> dict[GroupKey, Found]:
    """Collect what searches found, from ledger rows, by key."""
    found = {}
    for row in rows:
        searched = [record for record in row.tuning if record["params"]]
        if searched:
            times = [record["latest"] for record in searched if record["latest"] is not None]
            params = {record["candidate"]: record["params"] for record in searched}
            found[decode_key(row.key)] = Found(params, max(times, default=None))
    return found
