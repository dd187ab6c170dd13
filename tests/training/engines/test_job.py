"""A job finds what its tasks have done before, and takes nothing else for it."""

from dataclasses import replace

import pytest
from engine_jobs import job_of, run_here, tasks_of

from metamodel.training.engines.task import Task


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    job = job_of(tmp_path)
    task = tasks_of(job)[0]
    result = run_here(task, job)
    assert repr(job.finished(task)) == repr(result)


@pytest.mark.parametrize("suffix", [".json", ".sqlite"])
def test_a_task_with_half_its_files_is_not_finished(tmp_path, suffix):
    job = job_of(tmp_path)
    task = tasks_of(job)[0]
    run_here(task, job).shard.with_suffix(suffix).unlink()
    assert job.finished(task) is None


def test_the_digest_of_a_task_changes_with_its_groups_rows_and_killers(tmp_path):
    job = job_of(tmp_path)
    first, second = tasks_of(job)[:2]
    other_rows = Task((replace(first.groups[0], fingerprint="other"), *first.groups[1:]))
    digests = [job.digest(t) for t in (first, second, other_rows, replace(first, killers=frozenset({(1,)})))]
    assert len({*digests, first.digest("another spec")}) == 5
