"""`mlflow run .`: every entry point, and that the run which MLflow made is the one that holds the results."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import forked_programs
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient
from places import ROOT

import metamodel
from metamodel.cli import main
from metamodel.cli.base.config import keys_of
from metamodel.cli.train import train
from metamodel.datasets import make_store_sales

pytestmark = pytest.mark.slow

QUICK = {"n_jobs": "1", "holdout": "0"}

# Options that MLproject does not declare.
SEARCH = {"tune": "auto", "trials": "5", "tune_seconds": "20"}


@dataclass(frozen=True)
class Project:
    """A tracking store of its own, and `mlflow run .` that logs there."""

    home: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.home / 'mlflow.db'}")

    def run(self, entry_point: str, parameters: Mapping[str, str]) -> "Finished":
        given = [word for name, value in parameters.items() for word in ("-P", f"{name}={value}")]
        arguments = ["run", str(ROOT), "--env-manager", "local", "-e", entry_point, *given]
        # The commands of MLproject call `python` by name.
        forked_programs.python_that_forks(self.home / "bin")
        env = {
            **os.environ,
            "PATH": os.pathsep.join([str(self.home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.home / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(self.home / "artifacts"),
        }
        done = forked_programs.run("mlflow", *arguments, cwd=self.home, env=env, timeout=180)
        found = re.search(r"in run with ID '(\w+)'", done.stderr)
        assert found, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr, found[1])

    def runs(self) -> dict[str, str]:
        return {run.info.run_id: run.info.status for run in self.client.search_runs(["0"])}


@dataclass(frozen=True)
class Finished:
    """What a finished `mlflow run` left: its code, its words, and the id of the run it made."""

    returncode: int
    stdout: str
    stderr: str
    run_id: str


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def trained(project: Project) -> Finished:
    """The built-in sample, trained and registered by the entry point `main`."""
    finished = project.run("main", {**QUICK, **SEARCH})
    assert finished.returncode == 0, finished.stderr
    return finished


def test_the_run_that_mlflow_made_is_the_one_that_holds_the_results(project: Project, trained: Finished) -> None:
    run = project.client.get_run(trained.run_id)

    assert project.runs() == {trained.run_id: "FINISHED"}
    assert run.data.metrics["groups_fitted"] == 103
    assert run.data.params["holdout"] == "0"  # the project's parameter, as MLflow logs it
    assert run.data.params["train.trials"] == "5"  # MLflow handed on what MLproject does not declare
    assert run.data.params["train.tune_seconds"] == "20.0"
    assert run.data.params["train.group_by"] == "['country', 'store', 'product']"
    assert {"ledger.parquet", "ledger.json", "plots"} <= {
        file.path for file in project.client.list_artifacts(trained.run_id)
    }
    assert len(run.outputs.model_outputs) == 1


def test_the_sample_is_registered_once_under_its_alias(project: Project, trained: Finished) -> None:
    version = project.client.get_model_version_by_alias("store-sales", "champion")

    assert version.run_id == trained.run_id
    assert len(project.client.search_model_versions("name='store-sales'")) == 1
    assert "registered        store-sales, version 1, alias champion" in trained.stdout


def test_score_reads_and_writes_files_whose_names_hold_spaces_and_quotes(project: Project, trained: Finished) -> None:
    table = make_store_sales(n_stores=2, n_products=1, n_weeks=10)
    data, output = project.home / "what's new.csv", project.home / "the answers.parquet"
    table.to_csv(data, index=False)

    finished = project.run("score", {"data": str(data), "output": str(output)})

    assert finished.returncode == 0, finished.stderr
    assert project.runs()[finished.run_id] == "FINISHED"
    model_id = project.client.get_run(trained.run_id).outputs.model_outputs[0].model_id
    expected = metamodel.load_model(project.client.get_logged_model(model_id).artifact_location).predict(table)
    answers = pd.read_parquet(output)
    assert answers["status"].tolist() == expected["status"].tolist()
    np.testing.assert_allclose(answers["prediction"], expected["prediction"], rtol=1e-9)


def test_inspect_shows_one_child(project: Project, trained: Finished) -> None:
    finished = project.run("inspect", {"group": '["DE", 1, "P001"]'})

    assert finished.returncode == 0, finished.stderr
    assert re.search("^  product +P001$", finished.stdout, re.MULTILINE)
    assert "child: Ridge(random_state=0)" in finished.stdout


def test_report_writes_the_page_of_the_registered_model(project: Project, trained: Finished) -> None:
    finished = project.run("report", {"output": str(project.home / "the report.html"), "data": "sales", "worst": "1"})

    assert finished.returncode == 0, finished.stderr
    page = (project.home / "the report.html").read_text(encoding="utf-8")
    assert "What counts for the worst groups" in page


def test_main_declares_a_few_options_of_train_which_are_not_given_while_they_are_empty() -> None:
    entry = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]["main"]
    declared = entry["parameters"]

    assert len(declared) <= 12
    assert set(declared) <= set(keys_of(train)) | {"config"}
    assert declared.pop("config")["default"] == "sales.yaml"
    assert {one["default"] for one in declared.values()} == {""}
    assert all(f"--{name.replace('_', '-')} {{{name}}}" in entry["command"] for name in entry["parameters"])
    empty = [word for name in declared for word in (f"--{name}", "")]
    printed = CliRunner().invoke(main, ["train", "--config", str(ROOT / "sales.yaml"), *empty, "--print-config"])
    used = yaml.safe_load(printed.stdout)
    sample = yaml.safe_load((ROOT / "sales.yaml").read_text())
    assert all(sample[group].items() <= used[group].items() for group in sample)


def test_options_with_underscores_are_those_with_dashes() -> None:
    options = ["--data", "sales", "--group_by", "store", "--target", "units", "--tune_seconds", "60"]
    printed = CliRunner().invoke(main, ["train", *options, "--print-config"])
    assert yaml.safe_load(printed.stdout)["tuning"]["tune_seconds"] == 60


def test_a_bad_parameter_ends_the_run_failed_with_one_clear_line(project: Project, trained: Finished) -> None:
    finished = project.run("main", {**QUICK, "estimator": "rigde"})

    assert finished.returncode != 0
    assert "error: There is no estimator named 'rigde'. Known names:" in finished.stderr
    assert project.runs()[finished.run_id] == "FAILED"
    assert len(project.client.search_model_versions("name='store-sales'")) == 1
