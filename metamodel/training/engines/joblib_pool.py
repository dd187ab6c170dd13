"""Many processes of one machine, through joblib.

Children's own threads and the processes share the cores: with as many processes as cores, each child runs on one
thread.

A process that is killed (out of memory, a crash in native code) takes its task with it, never the job: the unfinished
tasks are run again one at a time, and the group that kills its process a second time is recorded as failed.
"""

import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import ThreadpoolController

from metamodel.common.temp_dirs import SHARED_MEMORY, scratch_directory
from metamodel.exceptions import WorkerDied
from metamodel.tables.keys import GroupKey, decode_key
from metamodel.training.engines.executor import TaskExecutor
from metamodel.training.engines.job import Job
from metamodel.training.engines.task import AS_ARRAYS, Task, TaskResult, run_task
from metamodel.training.plan import TablePlan

__all__ = ["ProcessPool", "in_processes", "on_one_thread", "process_count"]

T = TypeVar("T")

# Free bytes in memory below which arrays are shared on disk; joblib's own rule.
_ROOM_IN_MEMORY = 2 * 10**9

# How often a worker looks whether its owner is there.
_LOOK_SECONDS = 1.0


def process_count(n_jobs: int) -> int:
    """Translate joblib's convention: -1 is one process a core."""
    return joblib.cpu_count() if n_jobs == -1 else n_jobs


class ProcessPool(TaskExecutor):
    """Runs tasks in `n_jobs` processes.

    Parameters
    ----------
    n_jobs
        Number of processes.
    """

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs

    @property
    def parallelism(self) -> int:
        """Number of processes."""
        return self._n_jobs

    def run(self, tasks: Sequence[Task], job: Job[TablePlan]) -> Iterator[TaskResult]:
        """Run every task; results come as they are ready."""
        waiting = {job.digest(task): task for task in tasks}
        try:
            for result in self._parallel(list(waiting.values()), job, self._n_jobs):
                del waiting[result.shard.stem]
                yield result
        except TerminatedWorkerError:
            yield from self._one_by_one(waiting, job)

    def _one_by_one(self, waiting: dict[str, Task], job: Job[TablePlan]) -> Iterator[TaskResult]:
        suspects = [digest for digest in waiting if (job.directory / f"{digest}.current").is_file()]
        # A process may die before it names a group, when it reads its task. Then one task is tried alone.
        for digest in suspects or list(waiting)[:1]:
            yield self._survive(waiting.pop(digest), job)
        yield from self.run(list(waiting.values()), job)

    def _survive(self, task: Task, job: Job[TablePlan]) -> TaskResult:
        """Run one task alone; each time its process dies, leave out the group it died at.

        A group that was being tuned is tried once more without a search, which may have asked for too much.
        """
        while (done := job.finished(task)) is None:
            try:
                (done,) = self._parallel([task], job, 1)
            except TerminatedWorkerError as error:
                culprit = self._culprit(task, job)
                if culprit is None:
                    task = replace(task, arrays=False)
                elif culprit in task.killers:
                    raise WorkerDied(f"The worker process dies again and again at group {culprit}: {error}") from error
                elif job.plan.spec.tuning is not None and culprit not in task.untuned:
                    task = replace(task, untuned=task.untuned | {culprit})
                else:
                    task = replace(task, killers=task.killers | {culprit})
        return done

    @staticmethod
    def _culprit(task: Task, job: Job[TablePlan]) -> GroupKey | None:
        """Say at which group a process died; None where it fitted many at a time."""
        marker = job.directory / f"{job.digest(task)}.current"
        text = marker.read_text(encoding="utf-8") if marker.is_file() else ""
        marker.unlink(missing_ok=True)
        if text == AS_ARRAYS:
            return None
        return decode_key(text) if text else task.groups[0].key

    def _parallel(self, tasks: Sequence[Task], job: Job[TablePlan], n_jobs: int) -> Iterator[TaskResult]:
        parallel = _workers(n_jobs, self._n_jobs, "generator_unordered")
        yield from parallel(joblib.delayed(_run_in_worker)(os.getpid(), run_task, *job.work_of(task)) for task in tasks)


def in_processes(work: Callable[..., T], items: Iterable[tuple[Any, ...]], n_jobs: int) -> Iterator[T]:
    """Yield ``work(*item)`` for one item after the other, made in the processes that fitted, where they still run.

    Parameters
    ----------
    work
        Taken from a module, so that it can be sent.
    items
        Read while the work goes on.
    n_jobs
        Number of processes.

    Raises
    ------
    WorkerDied
        A process was killed, at the item that would be next or at one soon after it.
    """
    try:
        work_of = joblib.delayed(partial(_run_in_worker, os.getpid(), work))
        yield from _workers(n_jobs, n_jobs, "generator")(work_of(*item) for item in items)
    except TerminatedWorkerError as error:
        raise WorkerDied(f"A worker process was killed: {error}") from error


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep what small batches are computed with from starting threads, which would take longer than the batch."""
    with _thread_pools(len(sys.modules)).limit(limits=1), joblib.parallel_config(backend="sequential"):
        yield


@lru_cache(1)
def _thread_pools(modules: int) -> ThreadpoolController:
    """Look for the libraries with threads of their own, again where more modules have brought more of them."""
    return ThreadpoolController()


def _workers(n_jobs: int, sharing: int, return_as: str) -> joblib.Parallel:
    """Get worker processes, `sharing` of which share the cores."""
    threads = max(1, joblib.cpu_count() // sharing)
    # With n_jobs=1 joblib would fit in this very process, so there are always two workers. Large arrays reach
    # them as copy-on-write maps ("c"), because some estimators write into their input; the files of these go with this
    # process, however it ends.
    folder = scratch_directory("arrays", _fast_folder())
    _let_workers_retire()
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        return joblib.Parallel(
            n_jobs=max(2, n_jobs), pre_dispatch=2 * n_jobs, return_as=return_as, mmap_mode="c", temp_folder=folder
        )


def _let_workers_retire() -> None:
    """Keep a worker's replacement from being an error where warnings are errors.

    A worker that grew by 300 MB, or waited for five minutes, ends after its task and another takes its place. Loky
    warns of it in the thread that hands out the tasks: raised there, it would end that thread, and nobody the wait.
    """
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)


def _fast_folder() -> Path | None:
    """Choose where arrays for the workers lie as joblib would: what its variable names, in memory, or None."""
    if named := os.environ.get("JOBLIB_TEMP_FOLDER"):
        return Path(named)
    roomy = os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > _ROOM_IN_MEMORY
    return SHARED_MEMORY if roomy else None


def _run_in_worker(owner: int, work: Callable[..., T], *item: Any) -> T:
    _end_with(owner)
    # A forest with n_jobs=-1 would start threads of its own beside the other processes.
    with joblib.parallel_config(backend="sequential"):
        return work(*item)


@cache
def _end_with(owner: int) -> None:
    """End this worker where the process that it works for was killed; what it would make, nobody waits for.

    joblib's workers look for one only when they have waited for work for minutes.
    """

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    if os.getppid() == owner:  # a worker that something else stands between is no child
        threading.Thread(target=watch, name="metamodel-owner", daemon=True).start()
