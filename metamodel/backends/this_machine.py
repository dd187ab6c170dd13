"""One training on this machine: its tasks level by level where parents go first, a finished one never twice."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metamodel.backends.base import Backend, Job, balance
from metamodel.backends.phases import Phases
from metamodel.backends.task import Task, TaskResult
from metamodel.checks import TableFacts, table_facts
from metamodel.choices import one_of
from metamodel.group_copies import copies_in_groups
from metamodel.options import TrainingOptions
from metamodel.overrides import Override
from metamodel.planning import GroupRows, make_plan
from metamodel.sources import read_source
from metamodel.starts import Starts

__all__ = ["LocalTraining", "get_backend"]


class LocalTraining:
    """One training on this machine; the twin of `metamodel.backends.spark.SparkTraining`.

    Parameters
    ----------
    data
        As for `metamodel.sources.read_source`.
    options, estimator, estimator_params, features, overrides
        As for `metamodel.planning.make_plan`.

    Attributes
    ----------
    head
        The table, as it was given.
    source
        Where it came from.
    plan
        What to train.
    """

    def __init__(
        self,
        data: Any,
        options: TrainingOptions,
        estimator: object,
        estimator_params: Mapping[str, Any] | None,
        features: Sequence[str] | None,
        overrides: Sequence[Override] = (),
    ) -> None:
        self._backend = get_backend(options.engine, options.n_jobs)
        self.head, self.source = read_source(data, options.group_by)
        self.plan = make_plan(self.head, options, estimator, estimator_params, features, overrides)

    def facts(self) -> TableFacts:
        """Count what the data checks need."""
        options = self.plan.options
        facts = table_facts(self.head, self.plan.features.names, options.target, options.group_by)
        return replace(facts, copies=copies_in_groups(self.plan))

    def fit(self, end: float, starts: Starts | None, directory: Path, kept_share: float) -> Iterator[TaskResult]:
        """Fit every group that is within the row limit; results come as they are ready.

        Parameters
        ----------
        end
            When searches have to be over, a point of the wall clock.
        starts
            What fits go on from; None where they start from nothing.
        directory
            Where tasks leave their shards and results; those that are there already are not run again.
        kept_share
            Share of the held-out rows to hand back, from `heldout.kept_share`.
        """
        job = Job(self.plan, directory, kept_share, starts)
        limit = self.plan.options.max_group_rows
        groups = [group for group in self.plan.groups() if limit is None or len(group.rows) <= limit]
        phases = Phases(self.plan, {group.key: len(group.rows) for group in groups}, self._backend.parallelism, end)
        for i, levels in enumerate(phases.levels):
            for result in self._phase([group for group in groups if len(group.key) in levels], job, phases, i):
                phases.learn(result.ledger)
                yield result

    def _phase(self, groups: list[GroupRows], job: Job, phases: Phases, number: int) -> Iterator[TaskResult]:
        end = phases.end_of(number)
        shares = balance([len(group.rows) for group in groups], self._backend.parallelism, once=math.isfinite(end))
        missing = []
        for mine in (tuple(groups[i] for i in share) for share in shares):
            task = Task(mine, first=phases.first_of([group.key for group in mine]), end=end)
            done = job.finished(task)
            if done is None:
                missing.append(task)
            else:
                yield done
        yield from self._backend.run(missing, job)


def get_backend(engine: str, n_jobs: int) -> Backend:
    """Look an engine up by name.

    Parameters
    ----------
    engine
        "local"; Spark, which has no tasks of ours, is `metamodel.backends.spark`.
    n_jobs
        Worker processes; -1 for one a core, 1 for none but this one.
    """
    one_of("engine", engine, ("local",))
    from metamodel.backends.local import LocalBackend, process_count

    jobs = process_count(n_jobs)
    if jobs == 1:
        from metamodel.backends.sequential import SequentialBackend

        return SequentialBackend()
    return LocalBackend(jobs)
