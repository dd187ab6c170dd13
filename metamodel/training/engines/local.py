"""The engine of this machine: the table lies in memory, and tasks run in one process or in several."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from metamodel.common.collecting import seldom_collecting
from metamodel.tables.checks import TableFacts, table_facts
from metamodel.tables.keys import GroupKey, decode_key
from metamodel.tables.sources import read_source
from metamodel.training.engines.all_rows import fit_pooled
from metamodel.training.engines.array_groups import fits_at_once, is_for_arrays
from metamodel.training.engines.balancing import balance, merge_neighbors
from metamodel.training.engines.base import Engine
from metamodel.training.engines.executor import SequentialExecutor, TaskExecutor
from metamodel.training.engines.job import Job
from metamodel.training.engines.phases import Phase
from metamodel.training.engines.pooled import wants_pooled
from metamodel.training.engines.task import Task, TaskResult
from metamodel.training.leakage import copies_in_groups
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import GroupRows, TablePlan, make_plan

__all__ = ["LocalEngine", "executor_for"]


class LocalEngine(Engine[TablePlan]):
    """Fits in processes of this machine; a task that was finished before is not done again."""

    _make_plan = staticmethod(make_plan)

    def _open(self, data: Any, options: TrainingOptions) -> tuple[pd.DataFrame, str]:
        self._executor = executor_for(options.n_jobs)
        self._table, source = read_source(data, options.group_by)
        return self._table, source

    @property
    def head(self) -> pd.DataFrame:
        """The table, as it was given."""
        return self._table

    def facts(self) -> TableFacts:
        """Count what the data checks need."""
        options = self.plan.options
        facts = table_facts(self.head, self.plan.features.names, options.target, options.group_by)
        return replace(facts, copies=copies_in_groups(self.plan), indexes=self.plan.indexes_among(self.head.columns))

    def fresh_rows(self, through: Mapping[GroupKey, float | int]) -> Mapping[GroupKey, int]:
        """Count the rows of some groups that are newer than a point of time of each."""
        return self.plan.fresh_rows(through)

    def fingerprints(self) -> Mapping[GroupKey, str]:
        """Digest the rows of every group of every level."""
        return {group.key: group.fingerprint for group in self.plan.groups()}

    @property
    def parallelism(self) -> int:
        """Number of processes."""
        return self._executor.parallelism

    @cached_property
    def _groups(self) -> list[GroupRows]:
        return list(self.plan.groups())

    def _fit_phase(self, phase: Phase, job: Job[TablePlan]) -> Iterator[TaskResult]:
        groups = [group for group in self._groups if group.key in phase.sizes]
        as_arrays = is_for_arrays(job.plan)
        rows = [len(group.rows) for group in groups]
        # The proof of what was fitted as arrays, and a task's files, take the same time for more groups.
        most = 2500 if as_arrays else 500
        starts = job.starts
        cold = starts is None or not starts.warm
        at_once = as_arrays and cold and fits_at_once(job.plan, phase.sizes, starts.contests if starts else 0)
        shares = balance(rows, 1 if at_once else self.parallelism, once=phase.has_end, groups=most)
        if at_once:
            # All of it takes less than processes take to start, and is soon done again; each task has files to write.
            shares = merge_neighbors(shares, most)
        unfinished, turns = [], dict[GroupKey, int]()
        for turn, share in enumerate(shares):
            of_task = tuple(groups[i] for i in share)
            task = Task(of_task, first=phase.first_of(group.key for group in of_task), end=phase.end)
            turns |= dict.fromkeys((group.key for group in of_task), turn)
            done = job.finished(task)
            if done is None:
                unfinished.append(task)
            else:
                yield replace(done, turn=turn)
        with seldom_collecting() if at_once else nullcontext():
            executor = SequentialExecutor() if at_once else self._executor
            for result in executor.run(unfinished, job):
                # Told by its groups: a task whose process died comes back under another name.
                yield replace(result, turn=turns[decode_key(result.ledger[0].key)])

    def _fit_pooled(self, job: Job[TablePlan], global_candidate: str) -> Iterator[TaskResult]:
        if wants_pooled(self.plan):
            yield from fit_pooled(replace(job, plan=self.plan), self._executor, global_candidate)


def executor_for(n_jobs: int) -> TaskExecutor:
    """Choose what runs tasks.

    Parameters
    ----------
    n_jobs
        Worker processes; -1 for one a core, 1 for none but this one.
    """
    from metamodel.training.engines.joblib_pool import ProcessPool, process_count

    processes = process_count(n_jobs)
    return SequentialExecutor() if processes == 1 else ProcessPool(processes)
