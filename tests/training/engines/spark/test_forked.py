"""Work in a forked process: what kills it ends one item alone."""

from pathlib import Path
from typing import Any

from children import KillsWorker
from spark_tables import assert_same_ledger, odd_groups

import metamodel


def test_group_that_kills_its_process_is_recorded_as_on_this_machine_and_no_other_suffers(spark: Any) -> None:
    frame = odd_groups().dropna()

    question = ("store", "y", KillsWorker(), None, ["x"])
    local = metamodel.train(frame, *question, n_jobs=2).ledger  # one process would be this one
    ours = metamodel.train(spark.createDataFrame(frame), *question, engine="spark").ledger

    assert (ours["reason"] == "worker_died").sum() == 1
    assert_same_ledger(local, ours)


def test_group_that_kills_its_process_once_is_fitted_at_the_second_attempt(spark: Any, tmp_path: Path) -> None:
    frame = odd_groups().dropna()
    estimator = KillsWorker(once=str(tmp_path / "killed"))

    ledger = metamodel.train(
        spark.createDataFrame(frame), "store", "y", estimator, features=["x"], engine="spark"
    ).ledger

    assert (tmp_path / "killed").is_file()
    assert "failed" not in set(ledger["status"])
