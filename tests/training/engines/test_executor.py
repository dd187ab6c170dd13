"""Executors: every one runs every task, and all give the same rows."""

import pytest
from children import RaisesOnMark
from engine_jobs import job_of, rows_by_key, tasks_of

from metamodel.training.engines.executor import SequentialExecutor
from metamodel.training.engines.joblib_pool import ProcessPool

EXECUTORS = [SequentialExecutor(), ProcessPool(2)]


@pytest.mark.parametrize("executor", EXECUTORS, ids=lambda executor: type(executor).__name__)
def test_every_task_is_run_and_every_group_has_a_row(executor, tmp_path):
    job = job_of(tmp_path)
    results = list(executor.run(tasks_of(job), job))
    assert list(rows_by_key(results)) == [f"[{g}]" for g in range(6)]


def test_all_executors_give_the_same_rows(tmp_path):
    found = []
    for i, executor in enumerate(EXECUTORS):
        (tmp_path / str(i)).mkdir()
        job = job_of(tmp_path / str(i), RaisesOnMark(), mark=[3])
        found.append(rows_by_key(executor.run(tasks_of(job), job)))
    assert found[0] == found[1]


def test_no_tasks_are_no_work(tmp_path):
    assert [list(executor.run([], job_of(tmp_path))) for executor in EXECUTORS] == [[], []]
