"""Bad days: no PySpark, no Java, a full disk, a store that cannot be written; one line each."""

import errno
import os
import sqlite3
import sys
from pathlib import Path

import forked_programs
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from stores import new_store

from metamodel.cli import main
from metamodel.common.failures import failure_line
from metamodel.datasets import make_store_sales

COLUMNS = ["--group-by", "store,product", "--target", "units", "--features", "price", "--n-jobs", "1"]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a small training, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    make_store_sales(n_stores=1, n_products=2, n_weeks=20, broken=False).to_csv("sales.csv", index=False)
    return ["train", "--data", "sales.csv", *COLUMNS]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.parametrize("command", ["train", "score"])
def test_without_pyspark_the_command_that_brings_it_is_told(
    command: str, train: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    score = ["score", "--data", "sales.csv", "--model", "anything", "--output", "scored.csv"]
    result = run(*(train if command == "train" else score), "--engine", "spark")
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: engine='spark' needs pyspark, which is not installed. Run: pip install 'pyspark[con")


def test_without_java_the_remedy_is_told(train: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spark = pytest.importorskip("metamodel.tables.spark")

    class NoJava:
        @staticmethod
        def getActiveSession() -> None:  # noqa: N802 - Spark's name
            raise spark.PySparkException("[JAVA_GATEWAY_EXITED] Java gateway process exited.")

    monkeypatch.setattr(spark, "SparkSession", NoJava)
    result = run(*train, "--engine", "spark")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(
        "error: Spark cannot be started: [JAVA_GATEWAY_EXITED] Java gateway process exited. Install Java 17 or newer"
    )


def test_a_database_that_is_full_is_one_line_and_what_is_finished_is_kept(
    tracking_uri: str, train: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        work = next(Path.cwd().glob(".bundle.work/tasks"))
        (work / "finished").touch()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("metamodel.training.assemble.finish_bundle", full)
    result = run(*train, "--output-dir", "bundle")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: A database cannot be used: database or disk is full. Free some space")
    assert last.endswith("The groups that are finished are kept; the same command goes on with the others.")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_store_that_may_not_be_written_is_a_few_lines(train: list[str], tmp_path: Path) -> None:
    database = tmp_path / "store.db"
    MlflowClient(new_store(tmp_path, database.name)).search_experiments()
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///file:{database}?mode=ro&uri=true"}

    result = forked_programs.run("metamodel", *train, env=environment)

    lines = result.stderr.splitlines()
    assert result.returncode == 1
    assert lines[-1].startswith("error: A database cannot be used: attempt to write a readonly database. Check who")
    assert len(lines) < 20


def test_a_file_in_the_way_of_the_output_is_one_line(tracking_uri: str, train: list[str]) -> None:
    result = run(*train, "--output-dir", "sales.csv/bundle")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Not a directory. Check the path and who may write there." in result.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a"), "'a' cannot be written: No space left on device. Free"),
        (OSError(errno.ENOSPC, "No space left on device"), "A file cannot be written: No space left on device. Free"),
        (sqlite3.OperationalError("database is locked"), "A database cannot be used: database is locked. Another"),
        (OSError(errno.ENOSPC, "No space left on device", "from", None, "to"), "'to' cannot be written: No space left"),
        (
            RuntimeError("3 failures:\n[Errno 28] No space left on device"),
            "A file cannot be written",
        ),
        (RuntimeError("(sqlite3.OperationalError) disk I/O error\n[SQL: ...]"), "A database cannot be used: disk I/O"),
    ],
)
def test_what_the_system_said_is_found(error: Exception, line: str) -> None:
    assert str(failure_line(error)).startswith(line)


def test_what_the_system_said_is_found_under_other_errors() -> None:
    error = RuntimeError("a library failed")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert str(failure_line(error)).startswith("A file cannot be written: No space left")


def test_other_errors_are_no_faults_of_the_machine() -> None:
    assert failure_line(ValueError("x")) is None
    assert failure_line(sqlite3.OperationalError("no such table: x")) is None
