"""One run, one registered version, a fixed number of requests: against a real `mlflow server`."""

import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forked_programs
import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image
from servers import Recorder, count_by_endpoint
from sklearn.linear_model import LinearRegression, Ridge
from tiny_trainings import runs_of, tiny, train_tiny

import metamodel
from metamodel.bundle.reader import Bundle
from metamodel.common.byte_cache import process_cache
from metamodel.report import render_report
from metamodel.tracking.run import training_run

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("tracked")]


# -------- one run, all in it
@pytest.fixture(scope="module")
def result(_housing: pd.DataFrame) -> metamodel.TrainingResult:
    return metamodel.train(_housing, "ocean_proximity", "median_house_value", n_jobs=1)


@pytest.fixture(scope="module")
def logged(result: metamodel.TrainingResult, recorder: Recorder) -> Any:
    with training_run("districts", run_name="first"):
        return metamodel.log_model(result, registered_model_name="districts", alias="champion")


def test_the_run_is_described(logged: Any) -> None:
    (run,) = runs_of("districts")
    note = run.data.tags["mlflow.note.content"]
    assert re.fullmatch(
        r"\d of 5 groups by ocean_proximity: SimpleImputer > Ridge for median_house_value, "
        r"median holdout_rmse \d\d,\d{3}\. Under Artifacts, `report\.html` .*",
        note,
    )


def test_a_description_of_the_callers_own_stays() -> None:
    with mlflow.start_run(description="Black Friday") as run:
        metamodel.log_model(train_tiny(2), report=False)
    assert MlflowClient().get_run(run.info.run_id).data.tags["mlflow.note.content"] == "Black Friday"


def test_there_is_one_finished_run_with_parameters_and_aggregates(
    logged: Any, result: metamodel.TrainingResult
) -> None:
    (run,) = runs_of("districts")
    assert (run.info.run_id, run.info.status, run.info.run_name) == (logged.run_id, "FINISHED", "first")
    assert run.data.params["train.group_by"] == "['ocean_proximity']"
    assert run.data.params["train.target"] == "median_house_value"
    assert json.loads(run.data.params["train.candidates"])["ridge"]["estimator"] == "SimpleImputer > Ridge"
    assert run.data.metrics == pytest.approx(result.summary)
    statistics = {f"holdout_rmse_{name}" for name in ("mean", "median", "p10", "p90", "worst")}
    assert statistics <= run.data.metrics.keys()


def test_the_runs_ledger_is_the_results_ledger(logged: Any, result: metamodel.TrainingResult, tmp_path: Path) -> None:
    path = mlflow.artifacts.download_artifacts(run_id=logged.run_id, artifact_path="ledger.parquet", dst_path=tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), result.ledger, check_dtype=False)


def test_mlflow_shows_the_ledger_as_a_table_with_the_worst_group_first(
    logged: Any, result: metamodel.TrainingResult
) -> None:
    mlflow.set_experiment("districts")  # the only one that load_table looks into
    table = mlflow.load_table("ledger.json", run_ids=[logged.run_id])
    worst_first = result.ledger.sort_values("holdout_rmse", ascending=False)
    assert table["ocean_proximity"].tolist() == worst_first["ocean_proximity"].tolist()
    assert table["holdout_rmse"].tolist() == pytest.approx(worst_first["holdout_rmse"].tolist())


def test_the_run_names_its_data_set(logged: Any, client: MlflowClient) -> None:
    (entry,) = client.get_run(logged.run_id).inputs.dataset_inputs
    assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]
    assert '"num_rows": 20640' in entry.dataset.profile
    assert "median_house_value" in entry.dataset.schema


@pytest.mark.parametrize("name", ["holdout_metric", "actual_predicted"])
def test_the_run_has_the_two_plots(logged: Any, tmp_path: Path, name: str) -> None:
    path = mlflow.artifacts.download_artifacts(
        run_id=logged.run_id, artifact_path=f"plots/{name}.png", dst_path=tmp_path
    )
    with Image.open(path) as image:
        assert min(image.size) > 400
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
    assert colours is not None
    assert len(colours) > 20


def test_the_run_has_the_report(logged: Any, result: metamodel.TrainingResult) -> None:
    page = mlflow.artifacts.load_text(f"runs:/{logged.run_id}/report.html")
    assert page == render_report(Bundle(result.bundle_path))


def test_the_run_has_no_file_that_its_model_has_or_nobody_reads(logged: Any, client: MlflowClient) -> None:
    assert _files(client, logged.run_id) == {
        "checks.json",
        "config.yaml",
        "ledger.json",
        "ledger.parquet",
        "plots/actual_predicted.png",
        "plots/holdout_metric.png",
        "report.html",
    }


def test_the_model_names_the_versions_that_made_it(logged: Any) -> None:
    versions = metamodel.load_model(logged.model_uri).manifest.versions
    assert versions["metamodel"] == metamodel.__version__
    assert versions["mlflow"] == mlflow.__version__
    assert {"python", "scikit-learn", "pandas", "numpy"} <= versions.keys()


def test_there_is_one_registered_version_with_tags_and_alias(
    logged: Any, result: metamodel.TrainingResult, client: MlflowClient
) -> None:
    (version,) = client.search_model_versions("name = 'districts'")
    assert (version.version, version.run_id) == (str(logged.registered_model_version), logged.run_id)
    assert client.get_model_version_by_alias("districts", "champion").version == version.version
    described = {name: text for name, text in version.tags.items() if not name.startswith("metamodel.event.")}
    assert described == {
        "metamodel.groups_fitted": "5",
        "metamodel.groups_skipped": "0",
        "metamodel.groups_failed": "0",
        "metamodel.version": metamodel.__version__,
    }
    assert result.summary["groups_fitted"] == 5


@pytest.mark.tableless
def test_without_the_report_the_run_has_the_tables_and_no_picture(client: MlflowClient) -> None:
    result = train_tiny(2)
    with_report, without = (metamodel.log_model(result, report=report).run_id for report in (True, False))
    left_out = _files(client, with_report) - _files(client, without)
    assert left_out == {"plots/actual_predicted.png", "plots/holdout_metric.png", "report.html"}
    assert {"ledger.parquet", "ledger.json", "config.yaml"} <= _files(client, without)
    assert "report.html" not in client.get_run(without).data.tags["mlflow.note.content"]


def _files(client: MlflowClient, run_id: str) -> set[str]:
    listed = client.list_artifacts(run_id)
    folders = [entry.path for entry in listed if entry.is_dir]
    listed += [inner for folder in folders for inner in client.list_artifacts(run_id, folder)]
    return {entry.path for entry in listed if not entry.is_dir}


# -------- number of requests
@pytest.mark.tableless
def test_logging_and_registering_costs_the_same_few_requests_for_5_groups_and_for_5000(recorder: Recorder) -> None:
    few, many = train_tiny(5), train_tiny(5000)
    assert (few.summary["groups_fitted"], many.summary["groups_fitted"]) == (5, 5000)
    counts = []
    for result in (few, few, many):  # the first one also creates the registered model
        recorder.take()
        metamodel.log_model(result, registered_model_name="counted", alias="champion")
        counts.append(count_by_endpoint(recorder.take()))
    assert counts[1] == counts[2]
    assert counts[2].total() <= 40, counts[2]
    assert counts[2]["POST /api/2.0/mlflow/runs/create"] == 1
    assert counts[2]["POST /api/2.0/mlflow/model-versions/create"] == 1


# -------- odd names, and a data set that is there already
@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "50%", 'a"b', "a'b", ""])
def test_a_name_that_mlflow_refuses_is_refused_before_anything_is_logged(name: str, recorder: Recorder) -> None:
    result = train_tiny(2)
    recorder.take()
    with pytest.raises(metamodel.InputError, match="MLflow does not take the name"):
        metamodel.log_model(result, name=name, report=False)
    assert recorder.take() == []


@pytest.mark.tableless
def test_candidates_may_have_any_name() -> None:
    candidates = {"ridge alpha=1": Ridge(), "größer, 50%": Ridge(alpha=2.0)}
    result = metamodel.train(tiny(2), "group", "y", candidates, holdout=0.4, n_jobs=1)
    info = metamodel.log_model(result, report=False)
    assert json.loads(mlflow.get_run(info.run_id).data.params["train.candidates"]).keys() == candidates.keys()


@pytest.mark.tableless
@pytest.mark.parametrize("folder", ["run #1", "50%", "a%20b?"])
def test_the_output_directory_may_have_any_name(folder: str, tmp_path: Path) -> None:
    result = metamodel.train(
        tiny(2), "group", "y", LinearRegression(), n_jobs=1, output_dir=tmp_path / folder / "bundle #1"
    )
    loaded = metamodel.load_model(metamodel.log_model(result, report=False).model_uri)
    assert loaded.bundle.damaged_files() == []


@pytest.mark.tableless
def test_a_data_set_that_another_run_has_just_inserted_is_logged_all_the_same(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [MlflowException("UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest")]
    log_input = mlflow.log_input

    def refused_once(*args: Any, **kwargs: Any) -> None:
        if refusals:
            raise refusals.pop()
        log_input(*args, **kwargs)

    monkeypatch.setattr(mlflow, "log_input", refused_once)
    info = metamodel.log_model(train_tiny(2), report=False)
    assert len(client.get_run(info.run_id).inputs.dataset_inputs) == 1


# -------- loaded from the server
LOAD = """
import sys
import metamodel, pandas as pd
frame = pd.DataFrame({"group": [1, 0], "x": [2.0, 5.0]})
for uri in sys.argv[1:]:
    print(*metamodel.load_model(uri).predict(frame)["prediction"].round(6))
"""


@pytest.mark.tableless
def test_a_model_is_loaded_by_every_kind_of_uri_and_leaves_nothing_in_the_temporary_directory(tmp_path: Path) -> None:
    info = metamodel.log_model(train_tiny(2), registered_model_name="loaded", alias="champion", report=False)
    uris = ["models:/loaded@champion", "models:/loaded/1", info.model_uri, f"runs:/{info.run_id}/model"]
    assert info.model_uri.startswith("models:/m-")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = forked_programs.run("-c", LOAD, *uris, env={**os.environ, "TMPDIR": str(temporary)}, cwd=tmp_path)
    assert done.stdout.splitlines() == ["5.0 10.0"] * 4, done.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.tableless
def test_a_model_that_is_loaded_again_is_downloaded_once_and_finds_its_children() -> None:
    result = metamodel.train(tiny(2), "group", "y", LinearRegression(), holdout=0, n_jobs=1, stack=False)
    info = metamodel.log_model(result, registered_model_name="once", alias="champion", report=False)
    misses = process_cache().stats()["misses"]

    with ThreadPoolExecutor(3) as pool:
        uris = ["models:/once@champion", "models:/once/1", info.model_uri]
        models = list(pool.map(metamodel.load_model, uris))
    for model in models:
        model.predict(tiny(2))

    assert len({model.bundle.path for model in models}) == 1
    assert process_cache().stats()["misses"] - misses <= 2


def test_a_model_that_is_not_there_is_named_in_one_line() -> None:
    with pytest.raises(metamodel.InputError, match=r"^The model 'models:/nobody@champion' cannot be fetched from http"):
        metamodel.load_model("models:/nobody@champion")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/model", "ftp://127.0.0.1:9/model", "abc://model", "s3://b/model"])
def test_a_store_that_cannot_be_reached_is_said_in_one_line(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(metamodel.InputError, match=rf"^The model '{uri}' cannot be fetched from http[^\n]*$"):
        metamodel.load_model(uri)
