"""`metamodel monitor` and `acknowledge`: what they say, how they end, and the list that `update` takes."""

from pathlib import Path

import pandas as pd
import pytest
from command_line import run, strict
from monitored import changed, monitored, weeks

import metamodel


@pytest.fixture(scope="module")
def bundle() -> str:
    return str(monitored().bundle_path)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write the tables: a good time, a week like it, and one with a broken feed."""
    weeks(8, 2, start="2026-01-05").to_parquet(tmp_path / "good.parquet")
    weeks(1, 3).to_parquet(tmp_path / "week.parquet")
    broken = weeks(1, 4, start="2026-03-09")
    broken["stock"] *= 1000
    broken.to_parquet(tmp_path / "broken.parquet")
    return tmp_path


def test_monitor_ends_with_3_on_an_incident_and_with_0_after_somebody_looked(bundle: str, files: Path) -> None:
    given = ["--baseline", f"{files}/good.parquet", "--output", f"{files}/out"]
    assert run("monitor", bundle, "--data", f"{files}/week.parquet", *given).exit_code == 0

    broken = ["monitor", bundle, "--data", f"{files}/broken.parquet", *given, "--retrain-list", f"{files}/list.parquet"]
    result = run(*broken, "--json")

    assert result.exit_code == 3
    facts = strict(result.stdout)
    assert [one["column"] for one in facts["incidents"]] == ["stock"]
    assert facts["retrain"]["listed"] == facts["retrain"]["blocked"] > 0
    assert pd.read_parquet(files / "list.parquet")["blocked"].all()
    assert 'metamodel_monitor_incidents{kind="systemic"} 1.0' in (files / "out" / "metrics.prom").read_text()
    assert strict((files / "out" / "monitor.json").read_text())["window"] == "2026-03-09"

    told = run("acknowledge", f"{files}/out", facts["incidents"][0]["id"], "--by", "ann")
    assert told.stdout == f"{facts['incidents'][0]['id']} acknowledged by ann.\n"
    assert run(*broken).exit_code == 0
    assert not pd.read_parquet(files / "list.parquet")["blocked"].any()


def test_a_fault_of_the_input_is_one_line_and_code_2(bundle: str, files: Path) -> None:
    result = run("monitor", bundle, "--data", f"{files}/week.parquet", "--output", f"{files}/out", "--fdr", "3")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.tableless  # the run's data set warns on pandas 3, in MLflow's own code
def test_update_retrains_what_monitor_lists_and_the_ledger_says_why(bundle: str, files: Path) -> None:
    week = changed("2026-03-09", 6)
    week.to_parquet(files / "changed.parquet")
    pd.concat([weeks(8, 1, start="2026-01-05"), week]).to_parquet(files / "sales.parquet", index=False)
    given = ["--data", f"{files}/changed.parquet", "--output", f"{files}/out", "--budget", "0"]
    monitored_week = run("monitor", bundle, *given, "--retrain-list", f"{files}/list.parquet", "--json")
    # Groups that changed each for itself block nothing, and a job goes on to retrain them.
    facts = strict(monitored_week.stdout)
    assert (monitored_week.exit_code, facts["retrain"]["blocked"]) == (0, 0)
    assert {one["kind"] for one in facts["incidents"]} <= {"performance", "drift"}
    assert len(facts["incidents"]) > 0

    updated = run(
        "update", bundle, "--data", f"{files}/sales.parquet", "--retrain", "listed",
        "--retrain-list", f"{files}/list.parquet", "--output-dir", f"{files}/next", "--n-jobs", "1", "--no-challenge",
    )  # fmt: skip

    assert updated.exit_code == 0, updated.output
    ledger = metamodel.MetaModel(files / "next").ledger
    retrained = ledger[ledger["retrain_reason"] != ""]
    assert retrained[["shop", "retrain_reason"]].values.tolist() == [[3, "performance"]]
