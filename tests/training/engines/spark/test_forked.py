"""Work in a forked process: what kills it ends one item alone."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from children import KillsWorker
from spark_tables import assert_same_ledger, odd_groups

import metamodel
from metamodel.training.engines.spark.forked import in_forks


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


def test_one_process_does_as_many_items_as_it_survives() -> None:
    processes = list(in_forks(lambda i: os.getpid(), str, 5))
    assert len(set(processes)) == 1
    assert os.getpid() not in processes


def test_items_that_nobody_survives_are_answered_and_all_others_done_in_their_order(tmp_path: Path) -> None:
    def work(i: int) -> str:
        with (tmp_path / "tried").open("a") as tried:
            tried.write(f"{i} ")
        if i in (0, 3, 4, 7):
            os.kill(os.getpid(), signal.SIGKILL)
        return f"done {i}"

    expected = [f"{'deadly' if i in (0, 3, 4, 7) else 'done'} {i}" for i in range(8)]
    assert list(in_forks(work, lambda i: f"deadly {i}", 8)) == expected
    assert (tmp_path / "tried").read_text().split() == list("001233445677")  # a second process tries once more


def test_an_item_that_is_survived_at_the_second_attempt_is_done(tmp_path: Path) -> None:
    def work(i: int) -> int:
        if i == 1 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os._exit(1)
        return i

    assert list(in_forks(work, lambda i: -1, 3)) == [0, 1, 2]


def test_what_work_raises_is_raised_here_and_ends_it(tmp_path: Path) -> None:
    def work(i: int) -> int:
        (tmp_path / str(i)).touch()
        if i == 1:
            raise LookupError("item 1 is none")
        return i

    with pytest.raises(LookupError, match="item 1 is none"):
        list(in_forks(work, lambda i: -1, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_who_stops_listening_leaves_no_process_behind() -> None:
    results = in_forks(lambda i: os.getpid(), str, 3)
    process = next(results)
    assert isinstance(process, int)
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_no_items_need_no_process() -> None:
    assert list(in_forks(lambda i: i, lambda i: i, 0)) == []
