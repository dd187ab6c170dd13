"""Engines that run `metamodel.fitting` over many groups; each yields the same results in whatever order they come."""

from metamodel.backends.base import Backend, Job, balance
from metamodel.backends.task import Task, TaskResult, best_found, skip_groups
from metamodel.backends.this_machine import fit_on_this_machine

__all__ = [
    "Backend",
    "Job",
    "Task",
    "TaskResult",
    "balance",
    "best_found",
    "fit_on_this_machine",
    "get_backend",
    "skip_groups",
]


def get_backend(engine: str, n_jobs: int) -> Backend:
    """Look an engine up by name.

    Parameters
    ----------
    engine
        "local"; Spark, which has no tasks of ours, is `metamodel.backends.spark`.
    n_jobs
        Worker processes; -1 for one a core, 1 for none but this one.
    """
    from metamodel.option_values import one_of

    one_of("engine", engine, ("local",))
    from metamodel.backends.local import LocalBackend, process_count

    jobs = process_count(n_jobs)
    if jobs == 1:
        from metamodel.backends.sequential import SequentialBackend

        return SequentialBackend()
    return LocalBackend(jobs)
