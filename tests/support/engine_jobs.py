"""Small jobs for the tests of engines: a table of groups, its tasks, and what came of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from children import MARK

from metamodel.training.engines.job import Job
from metamodel.training.engines.task import Task, TaskResult, run_task
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import TablePlan, make_plan


def job_of(
    directory: Path, estimator: Any = "linear_regression", groups: int = 6, mark: Sequence[int] = ()
) -> Job[TablePlan]:
    """Ten rows a group; the first row of those in `mark` is one that some children raise on."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(groups * 10, 3)), columns=["a", "b", "y"])
    frame.insert(0, "g", np.repeat(range(groups), 10))
    frame.loc[frame["g"].isin(mark) & ~frame["g"].duplicated(), "a"] = MARK
    plan = make_plan(frame, TrainingOptions.create("g", target="y"), estimator, None, None)
    return Job(plan, directory)


def tasks_of(job: Job[TablePlan], size: int = 2) -> list[Task]:
    groups = list(job.plan.groups())
    return [Task(tuple(groups[i : i + size])) for i in range(0, len(groups), size)]


def run_here(task: Task, job: Job[TablePlan]) -> TaskResult:
    return run_task(*job.work_of(task))


def rows_by_key(results: Iterable[TaskResult]) -> dict[str, str]:
    """Every group's row as text (NaN equals itself there), but for what is measured anew each time."""
    rows = [{**asdict(row), "seconds": 0.0, "resident": 0} for result in results for row in result.ledger]
    return {row["key"]: json.dumps(row) for row in sorted(rows, key=lambda row: row["key"])}
