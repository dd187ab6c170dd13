"""The process pool: children share its cores, and a process that dies is told from a group that fails."""

import warnings
from dataclasses import replace

import joblib
import pytest
from children import Duck, RetiresWorker
from engine_jobs import job_of, tasks_of
from sklearn.ensemble import RandomForestRegressor

from metamodel.exceptions import WorkerDied
from metamodel.training.engines.joblib_pool import ProcessPool, process_count


def test_minus_one_is_a_process_for_every_core():
    assert process_count(-1) == joblib.cpu_count()


def test_a_forest_that_wants_every_core_gets_one_of_its_processs_threads(tmp_path):
    job = job_of(tmp_path, RandomForestRegressor(5, n_jobs=-1), groups=4)
    (result, *_) = ProcessPool(2).run(tasks_of(job, size=4), job)
    assert [row.status for row in result.ledger] == ["fitted"] * 4


class KillsOnArrival(Duck):
    """Ends every process that unpickles it, before a group can be named."""

    def __reduce__(self):
        import os

        return os._exit, (1,)


@pytest.mark.slow
@pytest.mark.tableless
def test_workers_that_die_before_their_first_group_end_the_job_with_a_clear_error(tmp_path):
    job = job_of(tmp_path, Duck(), groups=2)
    candidate = replace(job.plan.spec.candidates[0], estimator=KillsOnArrival())
    job = replace(job, plan=replace(job.plan, spec=replace(job.plan.spec, candidates=(candidate,))))
    with pytest.raises(WorkerDied, match=r"The worker process dies again and again at group \(0,\)"):
        list(ProcessPool(2).run(tasks_of(job), job))


@pytest.mark.slow
def test_a_worker_that_joblib_replaces_ends_no_training_where_warnings_are_errors(tmp_path):
    (tmp_path / "seen").mkdir()
    job = job_of(tmp_path, RetiresWorker(str(tmp_path / "seen")), groups=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = list(ProcessPool(2).run(tasks_of(job, size=2), job))
    assert len(list((tmp_path / "seen").iterdir())) > 2
    assert [row.status for result in results for row in result.ledger] == ["fitted"] * 12
