"""`metamodel gate`: exit codes, what is recorded in MLflow, and bad input in one line."""

import hashlib
import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from command_line import run, strict
from mlflow import MlflowClient
from planted import KEYS, panel, weeks

import metamodel


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return panel(4, 2)


@pytest.fixture(scope="module")
def registered(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two versions of `gated`, of which the first is the champion."""
    name = "gated"
    for stop, alias in ((92, "champion"), (100, None)):
        result = metamodel.train(
            weeks(table, 0, stop),
            KEYS,
            "units",
            "ridge",
            n_jobs=1,
            output_dir=tmp_path_factory.mktemp("gated") / "bundle",
            time_column="week",
            features=["price", "promotion", "trend", "season_sin", "season_cos"],
        )
        metamodel.log_model(result, registered_model_name=name, alias=alias, report=False)
    return name


@pytest.fixture(scope="module")
def fresh(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("fresh") / "fresh.parquet"
    weeks(table, 100, 120).to_parquet(path)
    return str(path)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text("floor: {answered: 0.9}\nregression: {slices: [country], max: 0.2}\n")
    return path


def test_a_gate_that_is_passed_is_recorded_in_the_run_and_on_the_version(
    registered: str, fresh: str, rules: Path, tmp_path: Path
) -> None:
    against = f"models:/{registered}@champion"
    output = tmp_path / "out"
    result = run(
        *("gate", f"models:/{registered}/2", "--data", fresh, "--against", against),
        *("--rules", str(rules), "--json", "--output", str(output)),
    )
    assert result.exit_code == 0, result.output
    said = strict(result.stdout)
    assert (said["passed"], said["candidate"]["version"], said["against"]["version"]) == (True, "2", "1")

    version = MlflowClient().get_model_version(registered, "2")
    text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/gate.json")
    assert json.loads(text) == said
    assert text == (output / "gate.json").read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()
    for tags in (version.tags, mlflow.get_run(version.run_id).data.tags):
        assert (tags["metamodel.gate"], tags["metamodel.gate_digest"]) == ("passed", digest)
    page = mlflow.artifacts.load_text(f"runs:/{version.run_id}/gate.html")
    assert digest in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_gate_that_fails_ends_with_code_3_and_says_which_rule(registered: str, fresh: str, tmp_path: Path) -> None:
    path = tmp_path / "strict.json"
    path.write_text(json.dumps({"floor": {"mae": "<= 0"}}))
    result = run("gate", f"models:/{registered}/2", "--data", fresh, "--rules", str(path))
    assert result.exit_code == 3
    assert "gate FAILED: 1 rule failed" in result.stdout
    assert "FAILED  floor: mae: " in result.stdout
    assert MlflowClient().get_model_version(registered, "2").tags["metamodel.gate"] == "failed"


def test_no_record_leaves_mlflow_alone(registered: str, fresh: str, rules: Path) -> None:
    before = MlflowClient().get_model_version(registered, "1").tags
    result = run("gate", f"models:/{registered}/1", "--data", fresh, "--rules", str(rules), "--no-record")
    assert result.exit_code == 0, result.output
    assert MlflowClient().get_model_version(registered, "1").tags == before


def test_an_alias_that_was_never_set_is_no_champion_and_passes(registered: str, fresh: str, rules: Path) -> None:
    against = f"models:/{registered}@production"
    given = ("gate", f"models:/{registered}/2", "--data", fresh, "--against", against, "--rules", str(rules))
    result = run(*given, "--no-record")
    assert result.exit_code == 0, result.output
    assert "no champion (gated has no alias production yet)" in result.stdout


def test_init_writes_rules_and_they_can_be_used(
    registered: str, fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("gate", "--init")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Written to gates.yaml" in result.stderr
    judged = run("gate", f"models:/{registered}/2", "--data", fresh, "--rules", "gates.yaml", "--no-record")
    assert judged.exit_code in (0, 3)
    assert "minimum_functionality: predict not null" in judged.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give a model and --data TABLE; or --init"),
        (["models:/gated/9", "--data", "FRESH"], r"has no version 9 (it has 2, 1)"),
        (["models:/gated@challenger", "--data", "FRESH"], "has no alias 'challenger' (it has champion)"),
        (["models:/gatde/1", "--data", "FRESH"], "There is no registered model 'gatde'"),
        (["models:/gated/2", "--data", "FRESH", "--against", "models:/gated@champoin"], "Did you mean 'champion'?"),
        (["models:/gated/2", "--data", "nowhere.parquet"], "nowhere.parquet"),
        (["models:/gated/2", "--data", "FRESH", "--rules", "nowhere.yaml"], "'nowhere.yaml' cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_verdict_alone(
    registered: str, fresh: str, arguments: list[str], message: str
) -> None:
    before = MlflowClient().get_model_version(registered, "2").tags
    result = run("gate", *(fresh if word == "FRESH" else word for word in arguments))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert message in result.stderr
    assert MlflowClient().get_model_version(registered, "2").tags == before
