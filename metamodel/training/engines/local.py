"""One training on this machine; the twin of the engine for Spark."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metamodel.tables.checks import TableFacts, table_facts
from metamodel.tables.sources import read_source
from metamodel.training.earlier_children import Starts
from metamodel.training.engines.base import Backend
from metamodel.training.engines.local_run import fit_on_this_machine
from metamodel.training.engines.task import TaskResult
from metamodel.training.leakage import copies_in_groups
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override
from metamodel.training.plan import make_plan

__all__ = ["LocalTraining", "get_backend"]


class LocalTraining:
    """One training on this machine, to be used as `metamodel.training.engines.spark.engine.SparkTraining` is.

    Parameters
    ----------
    data
        As for `metamodel.tables.sources.read_source`.
    options, estimator, estimator_params, features, overrides
        As for `metamodel.training.plan.make_plan`.

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
        """Fit every group that is within the row limit.

        Parameters
        ----------
        end
            When searches have to be over, a point of the wall clock.
        starts
            What fits go on from; None where they start from nothing.
        directory
            Where tasks leave their shards and results; what is there already is not done again.
        kept_share
            Share of the held-out rows to hand back, from `holdout.kept_share`.
        """
        return fit_on_this_machine(self.plan, self._backend, end, starts, directory, kept_share)


def get_backend(engine: str, n_jobs: int) -> Backend:
    """Look an engine up by name.

    Parameters
    ----------
    engine
        "local"; Spark, which has no tasks of ours, is `metamodel.training.engines.spark.engine`.
    n_jobs
        Worker processes; -1 for one a core, 1 for none but this one.
    """
    from metamodel.common.validation import one_of

    one_of("engine", engine, ("local",))
    from metamodel.training.engines.joblib_pool import LocalBackend, process_count

    jobs = process_count(n_jobs)
    if jobs == 1:
        from metamodel.training.engines.sequential import SequentialBackend

        return SequentialBackend()
    return LocalBackend(jobs)
