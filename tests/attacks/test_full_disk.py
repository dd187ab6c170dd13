"""A disk that is really full: one line for each command, no half file, and what is finished is kept."""

import gc
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from full_disks import SmallDisk, small_disk
from mlflow import MlflowClient
from serving import sales

import metamodel
from metamodel.cli import main

ROOMY = 2**27

# Shares of what a command needs, that it gets.
SHARES = (0.02, 0.3, 0.6, 0.9)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", ROOMY) as disk:
        yield disk


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "sales.csv"
    pd.concat([sales().assign(store=lambda part, n=n: part["store"] + 100 * n) for n in range(20)]).to_csv(path)
    return path


def bytes_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def pages(size: float) -> int:
    """The next whole number of pages, and one of them for directories."""
    return (int(size) // 4096 + 2) * 4096


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def one_line(result: Result) -> str:
    """The one line of a command that failed."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.stderr.splitlines()[-1] == lines[0]
    assert len(lines) == 1
    assert "Free some space, or write to another disk." in lines[0]
    return lines[0]


def training(table: Path, output: Path) -> list[str | Path]:
    by = ["--group-by", "country,store", "--target", "sales"]
    return ["train", "--data", table, *by, "--engine", "local", "--n-jobs", "1", "--output-dir", output]


@pytest.mark.timeout(300)
def test_a_training_says_one_line_and_goes_on_with_what_is_finished_when_there_is_room(
    disk: SmallDisk, table: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    assert run(*training(table, whole)).exit_code == 0
    need, output = bytes_of(whole), disk.path / "bundle"
    kept, size = set[str](), pages(0.02 * need)
    disk.resize(size)
    while (result := run(*training(table, output))).exit_code:
        one_line(result)
        assert not output.exists()
        finished = {path.name for path in (disk.path / ".bundle.work" / "tasks").glob("*.json")}
        assert kept <= finished
        kept, size = finished, size + pages(need / 8)
        disk.resize(size)
        gc.collect()  # files that are deleted and open still take room, which the end of a command's process gives back
    assert kept
    assert {path.name for path in disk.path.iterdir()} == {"bundle", "bundle-report.html"}
    rows = sales()
    assert metamodel.load_model(output).predict(rows).equals(metamodel.load_model(whole).predict(rows))


@pytest.mark.timeout(300)
def test_a_model_that_no_store_has_room_for_is_one_line_and_its_run_is_ended(
    disk: SmallDisk, served_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient()
    experiment = client.create_experiment("full disk", artifact_location=str(disk.path / "artifacts"))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "full disk")
    assert run("log", served_bundle).exit_code == 0
    need = disk.used
    for share in SHARES:
        clear(disk.path)
        disk.resize(pages(share * need))
        assert f"Log its bundle with: metamodel log {served_bundle}" in one_line(run("log", served_bundle))
        assert mlflow.active_run() is None
    runs = client.search_runs([experiment])
    assert sorted(run.info.status for run in runs) == ["FAILED"] * len(SHARES) + ["FINISHED"]
    models = client.search_logged_models([experiment])
    assert {model.status.value for model in models} == {"READY", "FAILED"}


@pytest.mark.timeout(300)
def test_a_database_without_room_is_one_line_and_mlflows_own_words_are_left_out(
    disk: SmallDisk, served_bundle: Path, table: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = f"sqlite:///{disk.path / 'runs.db'}"
    MlflowClient(store).create_experiment("full", artifact_location=str(disk.path / "artifacts"))
    disk.resize(pages(disk.used - 4096))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "full")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    result = run("log", served_bundle)
    assert one_line(result).startswith("error: A database cannot be used: database or disk is full.")
    logged = [record for record in caplog.records if record.name.startswith("mlflow.")]
    assert [record for record in logged if record.levelno >= logging.ERROR] == []


@pytest.mark.timeout(300)
def test_a_temporary_folder_without_room_is_one_line_and_is_empty_afterwards(
    disk: SmallDisk, served_bundle: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
    by = ["--group-by", "country,store", "--target", "sales"]
    for command in (["log", served_bundle], ["train", "--data", table, *by, "--n-jobs", "1"]):
        for size in (20_000, 200_000, 500_000):
            disk.resize(pages(size))
            one_line(run(*command))
            assert not [path for directory in disk.path.iterdir() for path in directory.glob("*")]


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet", "report.html"])
def test_a_file_without_room_is_one_line_and_what_stood_there_stays(
    disk: SmallDisk, served_bundle: Path, table: Path, name: str
) -> None:
    output = disk.path / name
    output.write_text("before")
    command = ["report", served_bundle] if name.endswith("html") else ["score", "--model", served_bundle]
    rows = [] if name.endswith("html") else ["--data", table]
    disk.resize(pages(0))
    one_line(run(*command, *rows, "--output", output))
    assert [path.name for path in disk.path.iterdir()] == [name]
    assert output.read_text() == "before"


def clear(directory: Path) -> None:
    for path in directory.iterdir():
        shutil.rmtree(path)
