"""`metamodel train`: results on stdout, progress on stderr, one line and exit code 2 for whatever is wrong."""

import json
import os
import pty
import re
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import forked_programs
import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from command_line import TRAIN, by_hand, run, strict
from mlflow import MlflowClient

# What each pandas first finds wrong with a binary file that is called a CSV.
NO_TEXT = "'utf-8' codec" if int(pd.__version__.partition(".")[0]) < 3 else r"Error tokenizing data\."


def test_train_says_what_became_of_the_groups_and_where_the_model_is(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--register", "said", "--alias", "champion")

    assert result.exit_code == 0
    assert "groups            9: 7 fitted, 2 skipped, 0 failed" in result.stdout
    assert "registered        said, version 1, alias champion" in result.stdout
    assert "A few predictions:" in result.stdout
    run_id = re.search(r"^run +(\w+)$", result.stdout, re.MULTILINE)[1]
    assert MlflowClient().get_run(run_id).info.status == "FINISHED"
    assert MlflowClient().get_model_version_by_alias("said", "champion").run_id == run_id


@pytest.mark.slow
def test_train_takes_every_option_of_a_careful_training(folder: Path, trained: str) -> None:
    rows = ["store,product,skip,estimator,estimator_params", "1,P001,True,,", '2,P001,,ridge,"{""alpha"": 3}"']
    Path("exceptions.csv").write_text("\n".join(rows))
    table = pd.read_parquet("sales.parquet")
    table.assign(weight=1.0, trend=table["trend"].astype(str)).to_parquet("sales.parquet")
    options = ["--estimator", "ridge,decision_tree", "--metric", "mae", "--split", "rolling:folds=2,horizon=3"]
    options += ["--time-column", "week", "--season", "4", "--sample-weight", "weight", "--duplicates", "keep"]
    options += ["--overrides", "exceptions.csv", "--group-seconds", "60", "--previous", trained]
    result = run(*TRAIN, "--data", "sales.parquet", *options)

    assert result.exit_code == 0, result.stderr
    assert "groups            9: 6 fitted, 3 skipped, 0 failed" in result.stdout
    assert re.search(r"^baseline +\d of \d groups beat it, median skill ", result.stdout, re.MULTILINE)
    run_id = re.search(r"^run +(\w+)$", result.stdout, re.MULTILINE)[1]
    assert MlflowClient().get_run(run_id).data.tags["metamodel.checks"] == "schema"
    found = json.loads(
        Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="checks.json")).read_text()
    )
    assert "changed 'trend': number → string" in found["findings"][0]["message"]


def test_train_keeps_rows_of_one_value_together(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--split", "leave_one_group_out", "--split-groups", "promotion")

    assert result.exit_code == 0, result.stderr
    run_id = re.search(r"^run +(\w+)$", result.stdout, re.MULTILINE)[1]
    ledger = pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="ledger.parquet"))
    assert ledger["folds"].max() == 2


@pytest.mark.slow
def test_train_goes_on_from_the_children_of_a_registered_model(folder: Path, trained: str) -> None:
    def gone_on(*options: str) -> Result:
        return run(*TRAIN, "--data", "sales.csv", "--estimator", "sklearn.linear_model.SGDRegressor", *options)

    assert gone_on("--register", "sgd", "--alias", "champion").exit_code == 0
    result = gone_on("--previous", "models:/sgd@champion", "--warm-start", "true", "--json")
    assert json.loads(result.stdout)["summary"]["groups_warm"] == 7
    assert (
        "warm starts       7 groups went on"
        in gone_on("--previous", "models:/sgd@champion", "--warm-start", "1").stdout
    )
    refused = run(*TRAIN, "--data", "sales.csv", "--previous", trained, "--warm-start", "true")
    assert refused.exit_code == 2
    assert "no candidate can go on from an earlier fit (Ridge has neither warm_start nor" in refused.stderr


def test_train_refuses_a_table_with_findings_where_it_is_told_to(folder: Path) -> None:
    schema = '{"store": "integer", "product": "string", "price": "number", "promotion": "boolean", "trend": "number"}'
    result = run(*TRAIN, "--data", "sales.csv", "--schema", schema, "--strict", "true")

    assert result.exit_code == 2
    message = (
        "error: 1 data check failed under strict=True: (1) The columns are not the expected ones: changed 'promotion'"
    )
    assert result.stderr.strip().splitlines()[-1].startswith(message)


@pytest.mark.parametrize("table", ["sales.csv", "sales.parquet", "parts"])
def test_train_takes_a_csv_a_parquet_file_and_a_folder(folder: Path, sales: pd.DataFrame, table: str) -> None:
    result = run(*TRAIN, "--data", table, "--json")

    facts = strict(result.stdout)
    assert facts["registered_model"] is facts["version"] is facts["alias"] is None
    assert facts["summary"]["groups_fitted"] == 7
    answers = mlflow.pyfunc.load_model(facts["model_uri"]).predict(sales)
    np.testing.assert_allclose(answers["prediction"].astype(float), by_hand(sales), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.tableless
def test_train_writes_results_to_stdout_and_progress_to_stderr(folder: Path) -> None:
    command = [*TRAIN, "--data", "sales.csv", "--json", "--register", "two-streams"]
    with terminal() as (end, text):
        done = forked_programs.run("metamodel", *command, stderr=end)

    assert done.returncode == 0, text()
    assert strict(done.stdout)["version"] == "1"
    assert re.search(r"training: +100%.* 9/9 .*fitted=7, skipped=2, failed=0", text())


def test_train_writes_the_report_beside_the_bundle(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--output-dir", "out/bundle")

    assert "report            " in result.stdout
    assert "Groups with a model" in Path("out/bundle-report.html").read_text(encoding="utf-8")


def test_train_leaves_out_children_that_are_no_better_than_their_parent(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--unknown", "fallback", "--prune", "--json")

    summary = strict(result.stdout)["summary"]
    assert summary["groups_pruned"] + summary["groups_fitted"] == 7
    refused = run(*TRAIN, "--data", "sales.csv", "--prune")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert 'Use unknown="fallback".' in refused.stderr


class terminal:  # noqa: N801 - used as a function
    """A pseudo-terminal to write to, and what was written to it: progress bars show on terminals at once."""

    def __enter__(self) -> tuple[int, Callable[[], str]]:
        self._reader, self._writer = pty.openpty()
        termios.tcsetwinsize(self._writer, (24, 120))
        self._read: list[bytes] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self._writer, lambda: b"".join(self._read).decode()

    def __exit__(self, *_: object) -> None:
        os.close(self._writer)
        self._thread.join(100)
        os.close(self._reader)

    def _collect(self) -> None:
        try:
            while part := os.read(self._reader, 4096):
                self._read.append(part)
        except OSError:  # how Linux says that the other end was closed
            pass


def test_train_logs_into_the_experiment_that_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mlflow.tracking.fluent._active_experiment_id
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", before)  # put back what --experiment changes
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")

    result = run(*TRAIN, "--data", "sales.csv", "--json", "--experiment", "shops")

    experiment = MlflowClient().get_experiment_by_name("shops")
    assert MlflowClient().get_run(strict(result.stdout)["run_id"]).info.experiment_id == experiment.experiment_id


def test_model_can_be_inspected_and_scored_whatever_the_output_directory_was_called(folder: Path) -> None:
    result = run(*TRAIN, "--data", "sales.csv", "--json", "--output-dir", "kept here", "--register", "elsewhere")
    uri = strict(result.stdout)["model_uri"]

    assert run("inspect", uri).exit_code == 0
    assert run("inspect", "kept here").exit_code == 0
    assert run("score", "--data", "sales.csv", "--model", "models:/elsewhere/1", "--output", "out.csv").exit_code == 0


@pytest.fixture
def store(no_runs_of_others: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """The tracking store; afterwards no run is left RUNNING, and nothing was registered or logged as a model."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", no_runs_of_others)
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    registered, begun = versions(client), int(time.time() * 1000)
    yield client
    new = client.search_runs(experiments, f"attributes.start_time >= {begun}")
    assert {run.info.status for run in new} <= {"FAILED"}
    assert [model for run in new for model in run.outputs.model_outputs] == []
    assert versions(client) == registered


def versions(client: MlflowClient) -> dict[str, int]:
    counted = Counter(version.name for version in client.search_model_versions(max_results=10_000))
    return {model.name: counted[model.name] for model in client.search_registered_models(max_results=1000)}


BAD_TRAINING = {
    "missing group column": (["--group-by", "shop"], r"The table lacks group column 'shop' \(it has 10: country,"),
    "missing target": (["--target", "sold"], "The table lacks target column 'sold'"),
    "missing feature": (["--features", "price,weather"], "The table lacks feature column 'weather'"),
    "missing time column": (["--time-column", "day"], "The table lacks time column 'day'"),
    "missing file": (["--data", "not/here.csv"], "There is no file or folder 'not/here.csv'. Check the path"),
    "empty csv": (["--data", "empty.csv"], "'empty.csv' cannot be read: No columns to parse from file. Check"),
    "empty parquet": (
        ["--data", "empty.parquet"],
        "'empty.parquet' cannot be read: .* Check that the file is complete",
    ),
    "only a header": (["--data", "header.csv"], "The table has no rows. Give a table with"),
    "empty folder": (["--data", "nothing"], "The folder 'nothing' holds no Parquet file. Check"),
    "binary csv": (["--data", "binary.csv"], f"'binary.csv' cannot be read: {NO_TEXT} .* Check"),
    "cut parquet": (["--data", "cut.parquet"], "'cut.parquet' cannot be read: .* Check"),
    "ragged csv": (
        ["--data", "ragged.csv"],
        "'ragged.csv' cannot be read: .*Expected 6 fields in line 3, saw 8. Check",
    ),
    "foreign file": (["--data", "sales.xlsx"], "'sales.xlsx' is no table that can be read. Use"),
    "column twice in csv": (["--data", "twice.csv"], "'twice.csv' has more than one column named 'price'. Rename"),
    "column twice in parquet": (
        ["--data", "twice.parquet"],
        "'twice.parquet' has more than one column named 'price'. R",
    ),
    "null key": (["--data", "null_key.csv"], r"1 row of 3 belongs to no group \(first: row 2\). .*null_keys=\"drop\""),
    "fractions as keys": (
        ["--data", "fraction_key.csv"],
        "'store' holds numbers that are no whole numbers, such as 1.5",
    ),
    "text target": (["--data", "text_target.csv"], r"'units' is not numeric \(first text: 'many'\), but .* regressor"),
    "null target": (["--data", "no_target.csv"], "The target 'units' is null in every row. Name a column"),
    "text feature for a path": (
        ["--features", "country", "--estimator", "sklearn.linear_model.Ridge"],
        "None of 9 groups could be fitted.*could not convert string to float.*Correct the table or the estimator",
    ),
    "all groups fail": (
        ["--data", "infinite.csv"],
        "None of 1 group could be fitted.*Input X contains infinity.*Correct",
    ),
    "all groups too small": (
        ["--min-rows", "999"],
        "None of 9 groups could be fitted.*30 usable rows, 999 needed.*Corr",
    ),
    "unknown estimator": (
        ["--estimator", "rigde"],
        "There is no estimator named 'rigde'. Known names: .*ridge.*Or give",
    ),
    "unknown class": (["--estimator", "sklearn.linear_model.Rigde"], "'sklearn.linear_model.Rigde' cannot be imported"),
    "no class": (["--estimator", "os.path.join"], "'os.path.join' is a function, not a class"),
    "no estimator": (["--estimator", "collections.Counter"], "has no method 'fit', so it is no estimator"),
    "unknown parameter": (["--estimator-params", '{"alhpa": 1}'], "Ridge .* unexpected keyword argument 'alhpa'"),
    "holdout": (["--holdout", "2"], "holdout=2.0 is no share of the rows. Use a number from 0"),
    "codec": (["--codec", "zip"], "codec='zip' is unknown. Use one of: cloudpickle, joblib, skops"),
    "engine": (["--engine", "dask"], "engine='dask' is unknown. Use one of: local"),
    "policy": (["--unknown", "guess"], "unknown='guess' is unknown. Use one of: null, error, fallback"),
    "probabilities of a regressor": (["--predict-method", "predict_proba"], "predict_proba' needs a classifier, but"),
    "name": (["--register", "a/b"], "MLflow does not take the name 'a/b' for a model. Leave"),
    "alias": (["--alias", "v1"], "MLflow does not take the alias 'v1'. Use letters"),
    "alias of nothing": (
        ["--register", ""],
        r"An alias needs a registered model. Give registered_model_name \(--register NAME\) too",
    ),
    "metric": (["--metric", "mape"], "metric='mape' is unknown for regression. Use one of: mae, rmse, r2"),
    "split": (["--split", "weekly"], 'split=\'weekly\' is unknown. Use "holdout", "kfold:5", "shuffle:5", .+, or'),
    "parameter of a space": (
        ["--tune", "space.yaml"],
        "'ridge' names 'alhpa', which is no parameter of Ridge. Did you",
    ),
    "space of nobody": (["--tune", "other_space.yaml"], "names 'rigde', which is no candidate. Candidates: 'ridge'"),
    "no space": (["--tune", "spaces"], "tune='spaces' is neither 'auto' nor a .yaml, .yml or .json file. Give one of"),
    "text as time": (
        ["--data", "days.csv", "--time-column", "soon"],
        r"Time column 'soon' has 1 value missing or no time \(first: 'soon'\). Correct or remove",
    ),
    "null as time": (
        ["--data", "days.csv", "--time-column", "gap"],
        r"Time column 'gap' has 1 value missing or no time \(first: nan\). Correct or remove",
    ),
    "override of nobody": (
        ["--overrides", "exceptions.csv"],
        r"an override for group \(77, 'P001'\), but the table has no such group \(9 known\). Correct its key",
    ),
    "negative weight": (
        ["--data", "weights.csv", "--sample-weight", "w"],
        r"Weight column 'w' has 1 value missing, infinite or below 0 \(first: -0.5\). Correct or remove",
    ),
    "warm start from nothing": (["--warm-start", "true"], "warm_start=True goes on from an earlier version, but there"),
    "output directory": (["--output-dir", "sales.csv"], "sales.csv exists and is no bundle. Name another output"),
    "output nowhere": (
        ["--output-dir", "/proc/no/where"],
        "'/proc/no' cannot be used: No such file or directory. Check",
    ),
}


@pytest.mark.parametrize("case", BAD_TRAINING)
@pytest.mark.usefixtures("bad_files")
def test_bad_input_to_train_is_one_line_and_leaves_nothing(store: MlflowClient, case: str) -> None:
    changed, message = BAD_TRAINING[case]

    result = run(*TRAIN, "--data", "sales.csv", "--register", "never", "--alias", "champion", *changed)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(f"error: .*{message}.*\n", result.stderr)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--estimator-params", "{alpha: 1}", r"'\{alpha: 1\}' is no JSON"),
        ("--estimator-params", "[1]", r"'\[1\]' is no JSON object"),
        ("--min-rows", "2.5", "'2.5' is no whole number"),
        ("--min-rows", "nan", "'nan' is no whole number"),
        ("--n-jobs", "inf", "'inf' is no whole number"),
        ("--holdout", "some", "'some' is no number"),
    ],
)
def test_option_of_the_wrong_kind_is_a_usage_error(folder: Path, option: str, value: str, message: str) -> None:
    result = run(*TRAIN, "--data", "sales.csv", option, value)

    assert result.exit_code == 2
    told = f"error: Invalid value for '{option}': {message}.* `main train --help` says what there is.\n"
    assert re.fullmatch(told, result.stderr)


@pytest.mark.slow
@pytest.mark.tableless
def test_a_bad_file_ends_the_process_with_code_2_and_no_traceback(folder: Path) -> None:
    done = forked_programs.run("metamodel", *TRAIN, "--data", "nowhere.csv")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: There is no file or folder 'nowhere.csv'.")


@pytest.mark.parametrize("option", [["--warm-start"], ["--warm-start", "true"]])
def test_a_switch_is_a_word_or_has_a_value(option: list[str]) -> None:
    result = run(*TRAIN, "--data", "sales", *option)

    assert result.exit_code == 2
    assert "warm_start" in result.stderr
    assert "previous" in result.stderr
