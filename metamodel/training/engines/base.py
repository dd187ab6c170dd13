"""What an engine is: it takes a table in, plans, counts for the data checks, and fits groups phase by phase.

An engine says how these things are done on its kind of machinery; in which order groups are fitted, and which of them
once more, is the same for all and stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic

import pandas as pd

from metamodel.evaluation.pooled_selection import Contest
from metamodel.tables.checks import TableFacts
from metamodel.tables.keys import GroupKey
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.in_turn import Turns
from metamodel.training.engines.job import Job, PlanT
from metamodel.training.engines.phases import Phase, Phases
from metamodel.training.engines.reselection import Choices
from metamodel.training.engines.task import TaskResult
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override

__all__ = ["Engine"]


class Engine(ABC, Generic[PlanT]):
    """One training on one kind of machinery.

    Parameters
    ----------
    data
        A table, in any form that this engine reads.
    options, estimator, estimator_params, features, overrides
        As for `metamodel.training.plan.make_plan`.

    Attributes
    ----------
    source
        Where the table came from.
    plan
        What to train.
    voters
        Contests, by encoded key, of groups that are not fitted, but have a say in which candidate suits whom.
    """

    # Makes the plan of a table that `_open` has opened; the other arguments are those of the constructor.
    _make_plan: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        data: Any,
        options: TrainingOptions,
        estimator: object,
        estimator_params: Mapping[str, Any] | None,
        features: Sequence[str] | None,
        overrides: Sequence[Override] = (),
    ) -> None:
        table, self.source = self._open(data, options)
        make_plan = type(self)._make_plan
        self.plan: PlanT = make_plan(table, options, estimator, estimator_params, features, overrides)
        self.voters: Mapping[str, Contest] = {}

    @abstractmethod
    def _open(self, data: Any, options: TrainingOptions) -> tuple[Any, str]:
        """Open the table; returns it in the form that the plan is made of, and where it came from."""

    @property
    @abstractmethod
    def head(self) -> pd.DataFrame:
        """The table as it was given, or its first rows."""

    @abstractmethod
    def facts(self) -> TableFacts:
        """Count what the data checks need."""

    @abstractmethod
    def fresh_rows(self, through: Mapping[GroupKey, float | int]) -> Mapping[GroupKey, int]:
        """Count the rows of some groups, of any level, that are newer than a point of time of each."""

    @abstractmethod
    def fingerprints(self) -> Mapping[GroupKey, str]:
        """Digest the rows of every group of every level; needed where only changed ones are fitted."""

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many groups are fitted at a time."""

    @abstractmethod
    def _fit_phase(self, phase: Phase, job: Job[PlanT]) -> Iterator[TaskResult]:
        """Fit the groups of a phase, each exactly once; results come as they are ready."""

    def fit(self, end: float, starts: Starts | None, directory: Path, kept_share: float) -> Iterator[TaskResult]:
        """Fit every group that is within the row limit.

        Where candidates compete, groups for which the other groups' rows choose another one are fitted again at the
        end.

        Parameters
        ----------
        end
            When searches have to be over, a point of the monotonic clock.
        starts
            What fits go on from; None where they start from nothing.
        directory
            Where shards are written, and on this machine results too; what is there already is not done again.
        kept_share
            Share of the held-out rows to hand back, from `holdout.kept_share`.

        Yields
        ------
        TaskResult
            With `again` where it stands for groups that came before, with `pooled` where it is the pooled model.
        """
        limit = self.plan.options.max_group_rows
        sizes = {
            key: n
            for key, n in self.plan.sizes_of_all_levels().items()
            if self.plan.fits(key) and (limit is None or n <= limit)
        }
        if not sizes:
            return
        job = Job(self.plan, directory, kept_share, starts)
        phases = Phases(self.plan, sizes, self.parallelism, end)
        choices, global_candidate = Choices(self.plan.spec, self.voters), ""
        turns = Turns()
        for phase in phases:
            for result in turns.numbered(self._fit_phase(phase, job)):
                phases.learn(result.ledger)
                choices.learn(result.ledger)
                global_candidate = next((row.candidate for row in result.ledger if not row.level), global_candidate)
                yield result
        plan_again = choices.plan_again(self.plan)
        if plan_again is not None:
            again = self._fit_phase(phases.again(plan_again.spec.overrides), replace(job, plan=plan_again))
            for result in turns.numbered(again):
                yield replace(result, again=True)
        if self.plan.only is None or all(map(self.plan.fits, self.plan.sizes)):
            yield from self._fit_pooled(job, global_candidate)

    def _fit_pooled(self, job: Job[PlanT], global_candidate: str) -> Iterator[TaskResult]:
        """Fit the pooled model, where this engine has one and it is wanted."""
        yield from ()
