"""Groups that are fitted again take the place of what was there; those that could not be stay as they were."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from metamodel.bundle import writer as bundle_writing
from metamodel.bundle.diagnostics import Evidence
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.writer import ShardMerger
from metamodel.evaluation.pooled_selection import Contest
from metamodel.training.engines.task import TaskResult
from metamodel.training.refits import fitted_again, superseded


def result(statuses, child, again=False):
    """Two held-out rows and a sample of each group."""
    contest = Contest(
        "rmse", ("tree", "line"), (1.0, 2.0), ((0.5,), ()), 4.0, "tree", ("holdout_failed: knn: ValueError",)
    )
    ledger = [
        LedgerRow(
            key,
            1,
            status,
            10,
            folds=2,
            seconds=1.5,
            reason="cold_start: new" if again else "",
            own_best=child,
            candidate=child,
            contest=None if again else contest,
        )
        for key, status in statuses.items()
    ]
    numbers = [number for number in range(len(statuses)) for _ in range(2)]
    holdout = pa.table({"group": pa.array(numbers, pa.int64()), "predicted": [child] * len(numbers)})
    samples = dict.fromkeys(statuses, child)
    return TaskResult(Path("shard"), ledger, Evidence(holdout), list(statuses), samples, again=again)


def test_a_group_stands_once_and_says_what_both_fits_know():
    first = result({"a": "fitted", "b": "fitted", "c": "skipped"}, "tree")
    again = result({"a": "fitted", "b": "failed"}, "line", again=True)
    assert fitted_again(again) == {"a"}
    before, after = superseded([first, again])
    assert [(row.key, row.candidate) for row in before.ledger] == [("b", "tree"), ("c", "tree")]
    (row,) = after.ledger
    assert (row.key, row.candidate, row.own_best, row.seconds) == ("a", "line", "tree", 3.0)
    assert row.reason == "cold_start: new; holdout_failed: knn: ValueError"
    assert before.evidence.holdout.to_pydict() == {"group": [1, 1, 2, 2], "predicted": ["tree"] * 4}
    assert after.evidence.holdout.to_pydict() == {"group": [0, 0], "predicted": ["line"] * 2}
    assert (set(before.samples), set(after.samples)) == ({"b", "c"}, {"a"})


def test_a_judged_child_does_not_give_way_to_one_that_could_not_be_judged():
    again = result({"a": "fitted", "b": "fitted"}, "line", again=True)
    again.ledger[1] = replace(again.ledger[1], folds=0)
    assert fitted_again(again) == {"a"}


def test_nothing_changes_where_nothing_was_fitted_again():
    results = [result({"a": "fitted"}, "tree"), result({"b": "failed"}, "tree")]
    assert superseded(results) == results


def test_a_new_child_takes_the_place_of_the_old_one_in_whichever_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_writing, "_SHARD_BYTES", 0)  # every task's groups begin a shard of their own
    for name, rows in {
        "one": {"a": b"old", "b": b"kept"},
        "two": {"c": b"old"},
        "new": {"a": b"new", "b": b"no"},
    }.items():
        with ShardWriter(tmp_path / name) as shard:
            for key, child in rows.items():
                shard.add(ShardRow.of_child(key, 1, "", child, 10))
    (tmp_path / "shards").mkdir()
    merger = ShardMerger(tmp_path)
    added = [merger.add(tmp_path / name) for name in ("one", "two")]
    replaced = merger.replace(tmp_path / "new", {"a"})
    merger.close()
    assert len({*added, replaced}) == 3
    found = {
        path.name: {row.key: row.child for row in ShardReader(path).rows()} for path in (tmp_path / "shards").iterdir()
    }
    assert found[added[0]] == {"b": b"kept"}
    assert found[added[1]] == {"c": b"old"}
    assert found[replaced] == {"a": b"new"}
