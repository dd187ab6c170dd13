"""A task leaves all or nothing, and its three parts (shard, ledger rows, evidence) say the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from children import RaisesOnMark
from engine_jobs import job_of, run_here, tasks_of

from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_reader import ShardReader
from metamodel.evaluation.splits import identities
from metamodel.tables.keys import encode_key
from metamodel.training.engines.task import Task, TaskResult, skip_groups


def test_a_finished_task_leaves_its_files_alone(tmp_path):
    job = job_of(tmp_path)
    result = run_here(tasks_of(job)[0], job)
    suffixes = [".holdout", ".importance", ".json", ".sqlite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{result.shard.stem}{suffix}" for suffix in suffixes]


def test_the_shard_holds_what_the_ledger_says(tmp_path):
    job = job_of(tmp_path, RaisesOnMark(), mark=[1])
    result = run_here(tasks_of(job, size=6)[0], job)
    shard = ShardReader(result.shard)
    for row in result.ledger:
        stored = shard.read(row.key)
        assert (stored.status, stored.sha256, len(stored.child or b"")) == (row.status, row.sha256, row.bytes)
    assert shard.read("[1]").reason == "error; ValueError: this group is marked"


def test_a_named_killer_is_not_tried_again(tmp_path):
    job = job_of(tmp_path)
    task = Task(tasks_of(job)[0].groups, killers=frozenset({(1,)}))
    rows = {row.key: (row.status, row.reason) for row in run_here(task, job).ledger}
    assert rows == {"[0]": ("fitted", ""), "[1]": ("failed", "worker_died")}


def test_every_held_out_row_is_handed_back(tmp_path):
    job = job_of(tmp_path)
    result = run_here(tasks_of(job, size=6)[0], job)
    held = result.evidence.holdout.to_pandas()
    assert {result.keys[group] for group in held["group"]} == {encode_key((g,)) for g in range(6)}
    table = job.plan.table
    assert set(held["row"]) <= set(identities(table.hashes, table.children))
    for group, rows in held.groupby("group"):
        rmse = np.sqrt(((rows["actual"] - rows["predicted"]) ** 2).mean())
        assert result.ledger[group].metrics["holdout_rmse"] == pytest.approx(rmse)


def test_a_share_of_the_held_out_rows_is_the_same_share_in_every_order(tmp_path):
    job = replace(job_of(tmp_path, groups=60), kept_share=0.5)
    task = tasks_of(job, size=60)[0]
    kept = run_here(task, job).evidence.holdout["row"].to_pylist()
    (tmp_path / "all").mkdir()
    everything = run_here(task, replace(job, kept_share=1.0, directory=tmp_path / "all")).evidence.holdout
    assert 0.3 < len(kept) / len(everything) < 0.7
    assert set(kept) < set(everything["row"].to_pylist())


def test_a_results_numbers_survive_json(tmp_path):
    row = LedgerRow("[1]", 1, "fitted", 10, metrics={"train_rmse": float("nan"), "train_mae": float("inf")})
    result = TaskResult(tmp_path / "x.sqlite", [row], Evidence(), ["[1]"])
    result.write(tmp_path / "x.json")
    read = TaskResult.read(tmp_path / "x.json").ledger
    assert json.dumps([row.to_dict() for row in read]) == json.dumps([row.to_dict() for row in result.ledger])


def test_groups_above_the_row_limit_are_recorded_without_a_child(tmp_path):
    result = skip_groups({("a",): 3000, (): 4000}, 1000, tmp_path)
    reasons = ["max_group_rows: 3,000 rows, 1,000 allowed", "max_group_rows: 4,000 rows, 1,000 allowed"]
    assert [(row.key, row.level, row.status, row.rows, row.reason) for row in result.ledger] == [
        ('["a"]', 1, "skipped", 3000, reasons[0]),
        ("[]", 0, "skipped", 4000, reasons[1]),
    ]
    stored = list(ShardReader(result.shard).rows())
    assert {(row.key, row.status, row.reason, row.child) for row in stored} == {
        ('["a"]', "skipped", reasons[0], None),
        ("[]", "skipped", reasons[1], None),
    }
