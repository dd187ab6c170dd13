"""Phases of a training: parents are tuned before their children, so that children can try what their parents found.

Without tuning, or without parents, there is one phase.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metamodel.fitting.tuning import Found, phase_end
from metamodel.tables.keys import GroupKey
from metamodel.training.engines.task import best_found, group_cost
from metamodel.training.plan import Plan

__all__ = ["Phases"]


class Phases:
    """The levels of a training in the order in which they are fitted, and what the earlier ones found.

    Parameters
    ----------
    plan
        The plan.
    sizes
        Rows of every group that is to be fitted.
    parallelism
        How many groups are fitted at a time.
    end
        When the last search has to be over, a point of the wall clock.
    """

    def __init__(self, plan: Plan, sizes: Mapping[GroupKey, int], parallelism: int, end: float) -> None:
        deepest = len(plan.keys.columns)
        together = plan.spec.tuning is None
        self.levels: list[tuple[int, ...]] = (
            [(deepest, *plan.levels)] if together else [(level,) for level in sorted((deepest, *plan.levels))]
        )
        self.first: dict[GroupKey, Found] = {}
        self._parallelism = parallelism
        self._end = end
        self._costs = [
            [group_cost(rows) for key, rows in sizes.items() if len(key) in levels] for levels in self.levels
        ]

    def end_of(self, phase: int) -> float:
        """Say when a phase that starts now has to be over."""
        return phase_end(self._costs[phase:], self._parallelism, time.time(), self._end)

    def learn(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over what the groups of some ledger rows found."""
        self.first |= best_found(rows)

    def first_of(self, keys: Sequence[GroupKey]) -> dict[GroupKey, Found]:
        """Say what the parents of some groups found."""
        parents = {key[:level] for key in keys for level in range(len(key))}
        return {parent: self.first[parent] for parent in sorted(parents & self.first.keys(), key=len)}
