"""What becomes of one group: its child is stored, or the row says why there is none."""

import numpy as np
from children import Duck, HoldsLock
from engine_jobs import job_of, run_here, tasks_of

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_reader import ShardReader
from metamodel.fitting.group import GroupOutcome
from metamodel.training.engines.group_fitter import GroupFitter, seconds_fitting, worker_died


def test_a_child_that_cannot_be_stored_is_a_failed_row(tmp_path):
    job = job_of(tmp_path, HoldsLock(), mark=[1])
    result = run_here(tasks_of(job, size=6)[0], job)
    assert {row.key: row.reason for row in result.ledger if row.status == "failed"} == {"[1]": "not_serializable"}


def test_a_child_without_a_scikit_learn_base_can_be_run(tmp_path):
    job = job_of(tmp_path, Duck(shift=1.0))
    result = run_here(tasks_of(job)[0], job)
    shard = ShardReader(result.shard)
    assert get_codec("cloudpickle").loads(shard.read("[0]").child).shift == 1.0


def test_the_row_of_a_group_says_what_its_shard_holds(tmp_path):
    job = job_of(tmp_path)
    table = job.plan.table
    fitter = GroupFitter(job.plan.spec, "cloudpickle", 1.0)
    record = fitter.fit(table.group((0,), 0, 10), "digest of the rows")
    assert (record.ledger.key, record.ledger.level, record.ledger.fingerprint) == ("[0]", 1, "digest of the rows")
    assert (record.ledger.bytes, record.ledger.sha256) == (len(record.row.child), record.row.sha256)
    assert (record.ledger.candidate, record.ledger.folds) == ("linear_regression", 1)


def test_the_memory_of_each_estimators_first_child_is_measured_and_the_others_are_charged_by_it(tmp_path):
    fitter = GroupFitter(job_of(tmp_path).plan.spec, "cloudpickle", 1.0)
    children = {"wide": {"weights": np.zeros(20_000)}, "nested": {"levels": [[i] for i in range(20_000)]}}
    rows = []
    for estimator in ("wide", "nested", "wide"):
        outcome = GroupOutcome((len(rows),), "fitted", 5, child=children[estimator], estimator=estimator)
        rows.append(fitter.record(outcome, "").row)
    assert fitter.factors["wide"] < 1.1
    assert fitter.factors["nested"] > 5
    assert [row.resident for row in rows] == [
        int(len(row.child) * fitter.factors[estimator])
        for row, estimator in zip(rows, ("wide", "nested", "wide"), strict=True)
    ]


def test_a_group_that_ends_its_processes_is_recorded_as_failed(tmp_path):
    fitter = GroupFitter(job_of(tmp_path).plan.spec, "cloudpickle", 1.0)
    record = fitter.record(worker_died(("a", 1), 7), "")
    assert (record.row.key, record.row.child, record.holdout) == ('["a",1]', None, None)
    assert (record.ledger.status, record.ledger.reason, record.ledger.rows) == ("failed", "worker_died", 7)


def test_the_time_of_searches_is_no_time_of_fits():
    row = LedgerRow("[]", 0, "fitted", 5, seconds=3.0, tuning=({"seconds": 0.5}, {"seconds": 1.5}))
    assert seconds_fitting(row) == 1.0
