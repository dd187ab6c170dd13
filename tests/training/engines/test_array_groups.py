"""Groups that are fitted as arrays leave what they leave when scikit-learn fits each of them, or scikit-learn does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from engine_jobs import job_of, rows_by_key, run_here, tasks_of
from joblib.externals.loky.process_executor import TerminatedWorkerError
from scipy.linalg import solve
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.shard_reader import ShardReader
from metamodel.fitting import fit
from metamodel.fitting.array_fits import many_contests, solvers
from metamodel.training.earlier_children import PackedStart
from metamodel.training.engines import array_groups
from metamodel.training.engines import task as task_module
from metamodel.training.engines.array_groups import ArrayGroups, fits_at_once, is_for_arrays
from metamodel.training.engines.job import Job
from metamodel.training.engines.joblib_pool import ProcessPool
from metamodel.training.engines.task import AS_ARRAYS, Task
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan, seen_hashes

pytestmark = [pytest.mark.tableless, pytest.mark.skipif(not solvers.solves_stacks(), reason="SciPy before 1.17")]

ESTIMATORS = [
    Ridge(),
    Ridge(1e-14),
    LinearRegression(),
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(StandardScaler(), LinearRegression()),
]


def _job(directory, estimator, groups=60, *, contested=False, **options):
    """Groups of 1 to 12 rows, some with constant and collinear columns, nulls and copies."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 13, size=groups)
    frame = pd.DataFrame(rng.normal(size=(sizes.sum(), 4)), columns=["a", "b", "c", "y"])
    frame.insert(0, "g", np.repeat(range(groups), sizes))
    frame.loc[frame["g"] % 7 == 0, "b"] = 2.5
    frame.loc[frame["g"] % 11 == 0, "c"] = frame["a"] * 2
    frame.loc[frame["g"] == 5, "y"] = 1.0
    frame.loc[rng.random(len(frame)) < 0.02, "y"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.01, "a"] = np.nan
    frame = pd.concat([frame, frame.sample(20, random_state=0)], ignore_index=True)
    directory.mkdir(parents=True, exist_ok=True)
    plan = make_plan(frame, TrainingOptions.create("g", target="y", **options), estimator, None, None)
    return Job(plan, directory, starts=_Starts(plan) if contested else None)


class _Starts:
    """A child that every second group had before, and what it saw; some saw all rows, and one cannot be loaded."""

    digest, warm = "before", False

    def __init__(self, plan):
        self._of = {}
        for i, group in enumerate(plan.groups()):
            data = plan.table.take(group.rows)
            seen = slice(None) if i % 3 == 0 else slice(0, len(group.rows) // 2)
            rows = np.isfinite(data.y[seen]) & np.isfinite(data.features.values[seen]).all(axis=1)
            if i % 2 == 0 and rows.any():
                child = Ridge().fit(data.features.values[seen][rows], data.y[seen][rows])
                blob = b"no child" if i == 8 else get_codec("cloudpickle").dumps(child)
                start = PackedStart(
                    blob, "", "cloudpickle", warm=False, seen=seen_hashes(data.contents[seen], data.y[seen])
                )
                self._of[group.key] = start

    def of(self, keys):
        return {key: self._of[key] for key in keys if key in self._of}


def _both_ways(tmp_path, monkeypatch, estimator, **options):
    """Run one task of all groups as arrays and one by one; says how many groups were fitted as arrays, too."""
    counted = []
    inner = task_module.fit_as_arrays

    def counting(*arguments):
        made = inner(*arguments)
        counted.append(len(made.records))
        return made

    monkeypatch.setattr(task_module, "fit_as_arrays", counting)
    results = []
    for name in ("arrays", "alone"):
        job = _job(tmp_path / name, estimator, **options)
        (task,) = tasks_of(job, size=1000)
        results.append(run_here(replace(task, arrays=name == "arrays"), job))
    return (*results, counted[0])


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("options", [{}, {"holdout": 0.0}, {"metric": "mae", "min_rows": 4, "duplicates": "keep"}])
def test_ledger_children_and_evidence_are_those_of_single_fits(tmp_path, monkeypatch, estimator, options):
    together, alone, counted = _both_ways(tmp_path, monkeypatch, estimator, **options)
    assert counted >= 16
    assert rows_by_key([together]) == rows_by_key([alone])
    children = [[row.child for row in ShardReader(result.shard).rows()] for result in (together, alone)]
    assert children[0] == children[1]
    assert together.evidence.importance.equals(alone.evidence.importance)
    if "holdout" not in options:
        assert together.evidence.holdout.equals(alone.evidence.holdout)


@pytest.mark.parametrize("estimator", ESTIMATORS[1:], ids=repr)
def test_contests_are_those_of_single_fits(tmp_path, monkeypatch, estimator):
    together, alone, counted = _both_ways(tmp_path, monkeypatch, estimator, contested=True, groups=150, metric="mae")
    assert counted >= 48
    assert rows_by_key([together]) == rows_by_key([alone])
    assert {row.reason for row in together.ledger} == {row.reason for row in alone.ledger}
    assert sum(row.fresh_rows > 0 for row in together.ledger if row.gain > 0) > 10


def test_contests_are_judged_by_arrays_and_not_once_more_by_single_fits(tmp_path, monkeypatch):
    judged = []
    inner = fit.judge_incumbent

    def noting(*given):
        facts = inner(*given)
        judged.extend([given[1].key] if facts else [])
        return facts

    monkeypatch.setattr(fit, "judge_incumbent", noting)
    job = _job(tmp_path, Ridge(), groups=300, contested=True, duplicates="keep")
    result = run_here(tasks_of(job, size=1000)[0], job)
    contested = [row for row in result.ledger if row.fresh_rows]
    assert len(contested) > 60
    assert 0 < len(judged) < len(contested) / 2


def test_a_wrong_bit_in_a_contest_alone_and_scikit_learn_fits_the_task(tmp_path, monkeypatch):
    inner = many_contests.compared
    monkeypatch.setattr(many_contests, "compared", lambda *given: {**inner(*given), "gain": 0.125})
    job = _job(tmp_path, Ridge(), groups=150, contested=True)
    result = run_here(tasks_of(job, size=1000)[0], job)
    assert any("not_as_arrays: gain differs from scikit-learn's in" in row.reason for row in result.ledger)
    assert 0.125 not in {row.gain for row in result.ledger}


def test_a_share_of_the_held_out_rows_is_the_same_share(tmp_path, monkeypatch):
    job = replace(_job(tmp_path, Ridge()), kept_share=0.5)
    (task,) = tasks_of(job, size=1000)
    together = run_here(task, job).evidence.holdout
    alone = run_here(replace(task, arrays=False), job).evidence.holdout
    assert 0 < len(together) < 0.4 * len(job.plan.table.y)
    assert together.equals(alone)


def test_one_wrong_bit_and_scikit_learn_fits_the_task_and_the_ledger_says_so(tmp_path, monkeypatch):
    job = _job(tmp_path / "alone", Ridge())
    alone = run_here(replace(tasks_of(job, size=1000)[0], arrays=False), job)
    job = _job(tmp_path / "other", Ridge())

    def other_lapack(a, b, **options):
        solution = solve(a, b, **options)
        return np.nextafter(solution, np.inf) if np.ndim(a) == 3 else solution

    monkeypatch.setattr(solvers.linalg, "solve", other_lapack)
    result = run_here(tasks_of(job, size=1000)[0], job)
    assert [row.sha256 for row in result.ledger] == [row.sha256 for row in alone.ledger]
    reasons = {row.reason.partition(":")[0] for row in result.ledger if row.status == "fitted"}
    assert reasons == {"not_as_arrays"}
    assert "differs from scikit-learn's in" in result.ledger[0].reason
    assert ShardReader(result.shard).read(result.ledger[0].key).reason == result.ledger[0].reason


def test_few_groups_overrides_weights_and_other_codecs_are_fitted_one_by_one(tmp_path):
    job = job_of(tmp_path, Ridge(), groups=6)
    spec, table = job.plan.spec, job.plan.table
    fitter = task_module.GroupFitter(spec, "cloudpickle", 1.0)
    groups = list(job.plan.groups())
    assert task_module.fit_as_arrays(groups, table, spec, fitter, 1.0, {}).records == {}
    job = job_of(tmp_path, Ridge(), groups=40)
    groups, table = list(job.plan.groups()), job.plan.table
    overridden = replace(job.plan.spec, overrides={(3,): job.plan.spec})
    made = task_module.fit_as_arrays(groups, table, overridden, fitter, 1.0, {}).records
    assert set(made) == set(range(40)) - {3}
    other = task_module.GroupFitter(spec, "joblib", 1.0)
    assert task_module.fit_as_arrays(groups, table, spec, other, 1.0, {}).records == {}
    weighted = replace(table, weights=np.ones(len(table.y)))
    assert task_module.fit_as_arrays(groups, weighted, spec, fitter, 1.0, {}).records == {}


def test_a_process_that_dies_over_arrays_blames_no_group(tmp_path, monkeypatch):
    job = job_of(tmp_path, Ridge(), groups=40)
    (task,) = tasks_of(job, size=40)
    tried = []

    def dying(self, tasks, job, n_jobs):
        for only in tasks:
            tried.append(only.arrays)
            if only.arrays:
                (job.directory / f"{job.digest(only)}.current").write_text(AS_ARRAYS)
                raise TerminatedWorkerError("killed")
            yield run_here(only, job)

    monkeypatch.setattr(ProcessPool, "_parallel", dying)
    (result,) = ProcessPool(2).run([task], job)
    assert tried == [True, True, False]
    assert {row.status for row in result.ledger} == {"fitted"}


def test_the_file_of_a_running_task_says_that_arrays_are_fitted(tmp_path, monkeypatch):
    job = job_of(tmp_path, Ridge(), groups=20)
    seen = []

    def reading(*_):
        seen.extend(path.read_text() for path in tmp_path.glob("*.current"))
        return ArrayGroups({})

    monkeypatch.setattr(task_module, "fit_as_arrays", reading)
    run_here(Task(tasks_of(job, size=20)[0].groups), job)
    assert seen == [AS_ARRAYS]


def test_few_groups_need_no_processes_and_many_or_other_ones_do(tmp_path, monkeypatch):
    plan = job_of(tmp_path, Ridge(), groups=40).plan
    assert is_for_arrays(plan)
    assert fits_at_once(plan, plan.sizes)
    assert not is_for_arrays(job_of(tmp_path, Ridge(solver="svd"), groups=40).plan)
    overrides = dict.fromkeys([(i,) for i in range(5)], plan.spec)
    assert not is_for_arrays(replace(plan, spec=replace(plan.spec, overrides=overrides)))
    values = plan.table.features.values.copy()
    values[::5] = np.nan
    with_nulls = replace(plan.table, features=replace(plan.table.features, values=values))
    assert not fits_at_once(replace(plan, table=with_nulls), plan.sizes)
    monkeypatch.setattr(array_groups, "_START_SECONDS", 0.001)
    assert not fits_at_once(plan, plan.sizes)
