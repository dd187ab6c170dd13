"""What `metamodel train` refuses, it refuses before there is a run."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from tiny_trainings import tiny

from metamodel.cli import main

TRAIN = ["train", "--data", "rows.csv", "--group-by", "group", "--target", "y", "--n-jobs", "1"]

WRONG = {
    "a column that is not there": ["--features", "nothing"],
    "an estimator that is none": ["--estimator", "rigde"],
    "a tag of ours": ["--tags", '{"metamodel.digest": "x"}'],
    "code that is not there": ["--code-paths", "nowhere"],
    "probabilities of a regression": ["--predict-method", "predict_proba"],
    "a requirement that is none": ["--extra-pip-requirements", "=1"],
    "a folder that is in use": ["--output-dir", "."],
    "no model before": ["--previous", "nowhere"],
    "an alias without a name": ["--alias", "champion"],
    "findings": ["--strict", "--schema", '{"x": "string"}'],
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_leaves_no_run_behind(
    what: str, tmp_path: Path, no_runs_of_others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", no_runs_of_others)
    tiny(2).to_csv("rows.csv", index=False)
    client = MlflowClient(no_runs_of_others)
    before = _runs(client)

    result = CliRunner().invoke(main, [*TRAIN, "--experiment", "wrong input", *WRONG[what]], catch_exceptions=False)

    assert result.exit_code == 2, result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert _runs(client) == before
    assert client.get_experiment_by_name("wrong input") is None


def _runs(client: MlflowClient) -> set[str]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id for run in client.search_runs(experiments)}
