"""Engines: every one runs every task, and a task leaves all or nothing."""

import json
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from children import MARK, Duck, HoldsLock, RaisesOnMark
from sklearn.ensemble import RandomForestRegressor

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.shards import ShardReader
from metamodel.exceptions import InputError, WorkerDied
from metamodel.tables.keys import encode_key
from metamodel.training.engines.base import Job
from metamodel.training.engines.joblib_pool import LocalBackend, process_count
from metamodel.training.engines.local import get_backend
from metamodel.training.engines.sequential import SequentialBackend
from metamodel.training.engines.task import Task, TaskResult, run_task
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan

BACKENDS = [SequentialBackend(), LocalBackend(2)]


def job_of(directory, estimator="linear_regression", groups=6, mark=()):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(groups * 10, 3)), columns=["a", "b", "y"])
    frame.insert(0, "g", np.repeat(range(groups), 10))
    frame.loc[frame["g"].isin(mark) & ~frame["g"].duplicated(), "a"] = MARK
    plan = make_plan(frame, TrainingOptions.create("g", target="y"), estimator, None, None)
    return Job(plan, directory)


def tasks_of(job, size=2):
    groups = list(job.plan.groups())
    return [Task(tuple(groups[i : i + size])) for i in range(0, len(groups), size)]


def run_here(task, job):
    return run_task(*job.work_of(task))


def rows_by_key(results):
    """Every group's row as text (NaN equals itself there), but for what is measured anew each time."""
    measured = ("seconds", "resident")
    rows = [{k: v for k, v in row.items() if k not in measured} for result in results for row in result.ledger]
    return {row["key"]: json.dumps(row) for row in sorted(rows, key=lambda row: row["key"])}


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: type(backend).__name__)
def test_every_task_is_run_and_every_group_has_a_row(backend, tmp_path):
    job = job_of(tmp_path)
    results = list(backend.run(tasks_of(job), job))
    assert list(rows_by_key(results)) == [f"[{g}]" for g in range(6)]


def test_all_engines_give_the_same_rows(tmp_path):
    found = []
    for i, backend in enumerate(BACKENDS):
        (tmp_path / str(i)).mkdir()
        job = job_of(tmp_path / str(i), RaisesOnMark(), mark=[3])
        found.append(rows_by_key(backend.run(tasks_of(job), job)))
    assert found[0] == found[1]


def test_no_tasks_are_no_work(tmp_path):
    assert [list(backend.run([], job_of(tmp_path))) for backend in BACKENDS] == [[], []]


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    job = job_of(tmp_path)
    task = tasks_of(job)[0]
    result = run_here(task, job)
    assert repr(job.finished(task)) == repr(result)


def test_a_finished_task_leaves_its_files_alone(tmp_path):
    job = job_of(tmp_path)
    result = run_here(tasks_of(job)[0], job)
    suffixes = [".holdout", ".importance", ".json", ".sqlite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{result.shard.stem}{suffix}" for suffix in suffixes]


@pytest.mark.parametrize("suffix", [".json", ".sqlite"])
def test_a_task_with_half_its_files_is_not_finished(tmp_path, suffix):
    job = job_of(tmp_path)
    task = tasks_of(job)[0]
    run_here(task, job).shard.with_suffix(suffix).unlink()
    assert job.finished(task) is None


def test_the_shard_holds_what_the_ledger_says(tmp_path):
    job = job_of(tmp_path, RaisesOnMark(), mark=[1])
    result = run_here(tasks_of(job, size=6)[0], job)
    shard = ShardReader(result.shard, result.shard.stat().st_size)
    for row in result.ledger:
        stored = shard.read(row["key"])
        assert (stored.status, stored.sha256, len(stored.child or b"")) == (row["status"], row["sha256"], row["bytes"])
    assert shard.read("[1]").reason == "error; ValueError: this group is marked"


def test_a_child_that_cannot_be_stored_is_a_failed_row(tmp_path):
    job = job_of(tmp_path, HoldsLock(), mark=[1])
    result = run_here(tasks_of(job, size=6)[0], job)
    assert {row["key"]: row["reason"] for row in result.ledger if row["status"] == "failed"} == {
        "[1]": "not_serializable"
    }


def test_a_named_killer_is_not_tried_again(tmp_path):
    job = job_of(tmp_path)
    task = Task(tasks_of(job)[0].groups, killers=frozenset({(1,)}))
    rows = {row["key"]: (row["status"], row["reason"]) for row in run_here(task, job).ledger}
    assert rows == {"[0]": ("fitted", ""), "[1]": ("failed", "worker_died")}


def test_every_held_out_row_is_handed_back(tmp_path):
    job = job_of(tmp_path)
    result = run_here(tasks_of(job, size=6)[0], job)
    held = result.evidence.holdout.to_pandas()
    assert {result.keys[group] for group in held["group"]} == {encode_key((g,)) for g in range(6)}
    assert set(held["row"]) <= set(job.plan.table.hashes)
    for group, rows in held.groupby("group"):
        rmse = np.sqrt(((rows["actual"] - rows["predicted"]) ** 2).mean())
        assert result.ledger[group]["holdout_rmse"] == pytest.approx(rmse)


def test_a_share_of_the_held_out_rows_is_the_same_share_in_every_order(tmp_path):
    job = replace(job_of(tmp_path, groups=60), kept_share=0.5)
    task = tasks_of(job, size=60)[0]
    kept = run_here(task, job).evidence.holdout["row"].to_pylist()
    (tmp_path / "all").mkdir()
    everything = run_here(task, replace(job, kept_share=1.0, directory=tmp_path / "all")).evidence.holdout
    assert 0.3 < len(kept) / len(everything) < 0.7
    assert set(kept) < set(everything["row"].to_pylist())


def test_the_digest_of_a_task_changes_with_its_groups_rows_and_killers(tmp_path):
    job = job_of(tmp_path)
    first, second = tasks_of(job)[:2]
    other_rows = Task((replace(first.groups[0], fingerprint="other"), *first.groups[1:]))
    digests = [job.digest(t) for t in (first, second, other_rows, replace(first, killers=frozenset({(1,)})))]
    assert len({*digests, first.digest("another spec")}) == 5


def test_a_results_numbers_survive_json(tmp_path):
    result = TaskResult(tmp_path / "x.sqlite", [{"key": "[1]", "rmse": float("nan")}], Evidence(), ["[1]"])
    result.write(tmp_path / "x.json")
    assert json.dumps(TaskResult.read(tmp_path / "x.json").ledger) == json.dumps(result.ledger)


@pytest.mark.parametrize(("n_jobs", "cls", "parallelism"), [(1, SequentialBackend, 1), (3, LocalBackend, 3)])
def test_the_engine_follows_the_number_of_jobs(n_jobs, cls, parallelism):
    backend = get_backend("local", n_jobs)
    assert (type(backend), backend.parallelism) == (cls, parallelism)


def test_minus_one_is_a_process_for_every_core():
    assert process_count(-1) == joblib.cpu_count()


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match=r"engine='dask' is unknown. Use one of: local"):
        get_backend("dask", 1)


def test_a_forest_that_wants_every_core_gets_one_of_its_processs_threads(tmp_path):
    job = job_of(tmp_path, RandomForestRegressor(5, n_jobs=-1), groups=4)
    (result, *_) = LocalBackend(2).run(tasks_of(job, size=4), job)
    assert [row["status"] for row in result.ledger] == ["fitted"] * 4


def test_a_child_without_a_scikit_learn_base_can_be_run(tmp_path):
    job = job_of(tmp_path, Duck(shift=1.0))
    result = run_here(tasks_of(job)[0], job)
    shard = ShardReader(result.shard, result.shard.stat().st_size)
    assert get_codec("cloudpickle").loads(shard.read("[0]").child).shift == 1.0


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
        list(LocalBackend(2).run(tasks_of(job), job))
