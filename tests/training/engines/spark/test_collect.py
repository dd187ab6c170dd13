"""What comes back from Spark comes back once."""

import hashlib
import json
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows

from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.shard_reader import ShardReader
from metamodel.exceptions import TrainingError
from metamodel.training.engines.spark import collect
from metamodel.training.engines.spark.collect import collected, materialized

pytestmark = pytest.mark.spark


Result = namedtuple("Result", "number ledger holdout importance reason child sample seen reference")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 1, 0], r"Group \('a',\) came back from Spark twice"),
        ([1], r"1 group did not come back from Spark: \('a',\)"),
    ],
)
def test_lost_and_doubled_groups_are_errors(numbers: list[int], message: str, tmp_path: Path) -> None:
    ledger = json.dumps(LedgerRow("[0]", 1, "skipped", 0).to_dict())
    rows = (Result(number, ledger, None, None, "", None, b"", b"", None) for number in numbers)
    with pytest.raises(TrainingError, match=message):
        list(collected(rows, [("a",), ("b",)], tmp_path, np.frombuffer))


def test_a_group_has_its_key_back_in_shard_ledger_and_samples(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"child").hexdigest()
    ledger = json.dumps(LedgerRow("[0]", 1, "fitted", 7, metrics={"train_mae": 0.5}, sha256=digest).to_dict())
    sample = np.array([1.0, 2.0]).tobytes()
    seen = np.array([2**64 - 1], dtype=np.uint64).tobytes()
    rows = iter([Result(0, ledger, None, None, "", b"child", sample, seen, None)])
    for result in collected(rows, [("a", 2)], tmp_path, np.frombuffer):
        (row,) = result.ledger
        assert (row.key, row.level, row.rows, row.metrics) == ('["a",2]', 2, 7, {"train_mae": 0.5})
        assert (result.keys, result.samples['["a",2]'].tolist()) == (['["a",2]'], [1.0, 2.0])
        assert result.seen['["a",2]'].tolist() == [2**64 - 1]
        shard = ShardReader(result.shard)
        assert [(stored.key, stored.sha256) for stored in shard.rows()] == [('["a",2]', digest)]
    assert list(tmp_path.iterdir()) == []


def test_small_results_come_in_one_job_that_spark_forgets_and_large_ones_partition_by_partition(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is streamed is held by Spark's scheduler, with the whole plan, after the results are gone."""
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    made = spark.range(0, 1000, 1, 4).select("id", F.repeat(F.lit("x"), 100).alias("text"), F.lit(None).alias("none"))
    made_by, jobs, held = [], [], []
    for most in (100_000, 99_999):
        monkeypatch.setattr(collect, "_AT_ONCE_BYTES", most)
        before, started = scheduler.activeQueryToJobs().size(), scheduler.numTotalJobs()
        with materialized(made) as results:
            count = scheduler.numTotalJobs()
            made_by.append(count - started)
            assert [row.id for row in results] == list(range(1000))
            jobs.append(scheduler.numTotalJobs() - count)
        held.append(scheduler.activeQueryToJobs().size() - before)
    assert max(made_by) <= 2  # one makes them and keeps them, and one measures them: nothing is shuffled
    assert jobs[0] < jobs[1] == 4
    assert held[0] == 0
    assert spark.sparkContext._jsc.getPersistentRDDs().isEmpty()
