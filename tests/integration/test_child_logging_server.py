"""Children logged one by one into a real `mlflow server`, behind a proxy that is unkind; scored from there."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked_programs
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import ViewType
from registered_children import Unkind, panel, unkind_proxy
from servers import Server, scoring_server

import metamodel
from metamodel.exceptions import LoggingFailed
from metamodel.flavor.environment import Environment
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote import throttle as throttling
from metamodel.flavor.remote.throttled_tracking import tracking_throttle
from metamodel.tracking.children.group_facts import GroupFacts
from metamodel.tracking.children.log_all import log_groups
from metamodel.tracking.children.models import ModelDestination
from metamodel.tracking.children.runs import RunDestination, quiet
from metamodel.tracking.pack_children import pack_children

pytestmark = [pytest.mark.server, pytest.mark.tableless]

GROUPS = 12
FAST = metamodel.ReferenceSettings(requests_per_second=500)


@dataclass(frozen=True)
class Place:
    """A tracking server behind a proxy."""

    server: Server
    proxy: Unkind


@pytest.fixture(scope="module")
def place(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with unkind_proxy(tracking.url) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        patch.setenv("METAMODEL_DISK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(disk_cache, "_cache", None)
        yield Place(tracking, proxy)


@pytest.fixture(autouse=True)
def kind_again(place: Place) -> Iterator[None]:
    """Each test begins and ends with a kind proxy, and nothing learnt of the server."""
    _be_kind(place.proxy)
    yield
    _be_kind(place.proxy)


def _be_kind(proxy: Unkind) -> None:
    proxy.limit, proxy.broken_until, proxy.cut, proxy.cut_all, proxy.ends_after = float("inf"), 0.0, 0, False, None
    proxy.fails = 0
    proxy.take()
    throttling._limiters.clear()


def _train(groups: int = GROUPS) -> metamodel.TrainingResult:
    return metamodel.train(panel(groups), "store", "y", n_jobs=1)


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    return _train()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return panel(GROUPS).drop(columns="y")


@pytest.fixture(scope="module")
def expected(result: metamodel.TrainingResult, rows: pd.DataFrame) -> Any:
    return metamodel.MetaModel(result.bundle_path).predict(rows)["prediction"]


@pytest.fixture(scope="module")
def info(place: Place, result: metamodel.TrainingResult) -> Any:
    """A model whose children are models in the same run."""
    return metamodel.log_model(result, log_children="models", settings=FAST, report=False)


def _experiment(run_id: str) -> str:
    return str(MlflowClient().get_run(run_id).info.experiment_id)


def _models(run_id: str) -> list[Any]:
    """Every model that a run has made, the meta-model left out."""
    found = MlflowClient().search_logged_models([_experiment(run_id)], f"source_run_id = '{run_id}'")
    return [model for model in found if model.name.startswith("model-")]


def _nested(run_id: str, condition: str = "") -> list[Any]:
    wanted = f"tags.`mlflow.parentRunId` = '{run_id}'{condition}"
    return MlflowClient().search_runs([_experiment(run_id)], wanted, ViewType.ACTIVE_ONLY)


def _assert_one_each(found: list[Any], groups: int = GROUPS) -> None:
    assert Counter(map(_store, found)) == Counter(str(store) for store in range(groups))


def _store(found: Any) -> str:
    tags = found.tags if hasattr(found, "tags") else found.data.tags
    return str(tags["store"])


# -------- what is there
def test_the_children_are_models_of_the_one_run(info: Any, result: metamodel.TrainingResult) -> None:
    models = _models(info.run_id)
    _assert_one_each(models)
    assert {str(model.status) for model in models} == {"READY"}
    run = mlflow.get_run(info.run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [info.model_id]
    by_metric = MlflowClient().search_logged_models([_experiment(info.run_id)], "metrics.holdout_rmse > 1e-6")
    assert {_store(model) for model in by_metric if model.source_run_id == info.run_id} <= {
        str(i) for i in range(GROUPS)
    }
    logged = {metric.key: metric.value for model in models if _store(model) == "3" for metric in model.metrics}
    assert logged["holdout_rmse"] == pytest.approx(result.ledger["holdout_rmse"][3])
    wrapper = MlflowClient().get_logged_model(info.model_id)
    assert {metric.key for metric in wrapper.metrics} == set(result.summary)


@pytest.mark.parametrize(("mode", "requests_a_group"), [("models", 5), ("runs", 3)])
def test_a_model_takes_five_requests_and_a_run_three(
    mode: str, requests_a_group: int, place: Place, result: metamodel.TrainingResult
) -> None:
    facts = GroupFacts(result.ledger, result.manifest.keys, only_children=True)
    throttle, destination = tracking_throttle(FAST), None
    with mlflow.start_run() as run, quiet():
        if mode == "models":
            model = metamodel.MetaModel(result.bundle_path)
            destination = ModelDestination(model, facts, run, "model", throttle, Environment())
        place.proxy.take()
        log_groups(destination or RunDestination(facts, run, throttle), throttle, 4)
        sent = len(place.proxy.take())
    assert sent == requests_a_group * GROUPS + 2  # what is there before, and what is there behind


def test_it_answers_as_the_bundle(info: Any, rows: pd.DataFrame, expected: Any) -> None:
    answers = metamodel.load_model(info.model_uri).predict(rows)
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9)


def test_it_answers_over_http(info: Any, rows: pd.DataFrame, expected: Any, tmp_path: Path) -> None:
    body = json.dumps({"dataframe_split": rows.to_dict(orient="split")})
    with scoring_server(info.model_uri, tmp_path) as server:
        headers = {"Content-Type": "application/json"}
        answer = requests.post(f"{server.url}/invocations", data=body, headers=headers, timeout=60)
        assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    np.testing.assert_allclose([row["prediction"] for row in answer.json()["predictions"]], expected, rtol=1e-9)


@pytest.mark.spark
def test_it_answers_in_spark(info: Any, rows: pd.DataFrame, expected: Any, spark: Any) -> None:
    from pyspark.sql.functions import struct

    table = spark.createDataFrame(rows.assign(row=range(len(rows)))).repartition(2)
    score = mlflow.pyfunc.spark_udf(spark, info.model_uri, env_manager="local")
    answers = table.select("row", score(struct("store", "x", "z")).alias("answer")).orderBy("row").toPandas()
    np.testing.assert_allclose([answer["prediction"] for answer in answers["answer"]], expected, rtol=1e-9)


def test_its_children_can_be_brought_into_it(
    info: Any, rows: pd.DataFrame, expected: Any, tmp_path: Path, place: Place
) -> None:
    packed = metamodel.load_model(pack_children(metamodel.load_model(info.model_uri), tmp_path / "packed"))
    place.proxy.take()
    answers = packed.predict(rows, {"detail": True})
    np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9)
    assert answers["child_version"].tolist() == [
        packed.ledger.set_index("store")["sha256"][store][:12] for store in rows["store"]
    ]
    assert not place.proxy.requests


def test_nested_runs_are_found_by_their_group(place: Place) -> None:
    frame = panel(4).assign(country=lambda table: table["store"].map({0: "FR", 1: "FR", 2: "DE", 3: "d'Or"}))
    frame.loc[frame["store"] == 3, "x"] = np.inf
    trained = metamodel.train(frame, ["country", "store"], "y", n_jobs=1, unknown="fallback", prune=False, pooled=False)
    info = metamodel.log_model(trained, log_children="runs", settings=FAST, report=False)
    assert {_store(run) for run in _nested(info.run_id, " AND tags.country = 'FR' AND tags.store LIKE '%'")} == {
        "0",
        "1",
    }
    (failed,) = _nested(info.run_id, " AND tags.store = '3'")
    status = trained.ledger.loc[trained.ledger["store"] == 3, "status"].item()
    assert failed.data.tags["metamodel.status"] == status
    assert failed.info.status == ("FAILED" if status == "failed" else "FINISHED")
    (one,) = _nested(info.run_id, " AND tags.store = '1' AND metrics.rows = 6")
    assert one.data.params["estimator"] == trained.ledger["estimator"][0]
    assert one.data.metrics["train_rmse"] >= 0
    assert len(_nested(info.run_id)) == len(trained.ledger)
    assert metamodel.load_model(info.model_uri).bundle.references is None


# -------- an unkind server
@pytest.mark.parametrize("mode", ["models", "runs"])
def test_nothing_is_lost_or_doubled_and_the_limit_is_kept(
    mode: Any, place: Place, result: metamodel.TrainingResult, rows: pd.DataFrame, expected: Any
) -> None:
    proxy, client = place.proxy, MlflowClient()
    name = f"through-{mode}"
    settings = metamodel.ReferenceSettings(requests_per_second=54, patience_seconds=60)
    with mlflow.start_run() as run:
        proxy.take()
        proxy.limit, proxy.fails, proxy.cut, proxy.cut_all = 60, 4, 7, True
        info = metamodel.log_model(
            result, log_children=mode, settings=settings, registered_model_name=name, report=False
        )
        answers = metamodel.load_model(info.model_uri).predict(rows)
        log = proxy.take()
        busiest = max(sum(1 for other, _, _ in log if moment <= other < moment + 1) for moment, _, _ in log)
        _be_kind(proxy)
    np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9)
    assert {status for _, _, status in log} == {0, -1, 503}  # no 429
    assert busiest <= 60
    _assert_one_each(_models(run.info.run_id) if mode == "models" else _nested(run.info.run_id))
    every = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert len(every) == (GROUPS + 1 if mode == "models" else 1)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1


# -------- going on
def test_a_broken_off_logging_goes_on_with_what_is_missing(place: Place, result: metamodel.TrainingResult) -> None:
    proxy, client = place.proxy, MlflowClient()
    # A request has a quarter of it, in which a busy machine answers, too.
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=6)
    options: dict[str, Any] = {"log_children": "models", "registered_model_name": "broken-off"}
    with mlflow.start_run() as run:
        proxy.ends_after = 52
        with pytest.raises(LoggingFailed, match=rf"nothing was registered .*MLFLOW_RUN_ID={run.info.run_id}"):
            metamodel.log_model(result, settings=settings, report=False, **options)
        _be_kind(proxy)
        before = {model.model_id: str(model.status) for model in _models(run.info.run_id)}
        assert 0 < Counter(before.values())["READY"] < GROUPS
        assert not client.search_registered_models("name = 'broken-off'")
        metamodel.log_model(result, settings=FAST, report=False, **options)
        made = sum(path.endswith("/model.pkl") for _, path, _ in proxy.take())
    models = _models(run.info.run_id)
    _assert_one_each(models)
    assert made == GROUPS - Counter(before.values())["READY"]
    assert set(before) <= {model.model_id for model in models}
    assert len(client.search_model_versions("name = 'broken-off'")) == 1


def test_the_same_command_goes_on_in_the_same_run_after_it_was_killed(place: Place, tmp_path: Path) -> None:
    panel(GROUPS).to_parquet(tmp_path / "data.parquet")
    command = ["metamodel", "train", "--data", "data.parquet", "--group-by", "store"]
    command += ["--target", "y", "--n-jobs", "1", "--output-dir", "bundle", "--log-children", "runs", "--json"]
    command += ["--experiment", "killed", "--register", "killed"]
    slow, fast = ["--rate", "12"], ["--rate", "500"]
    first = forked_programs.start(*command, *slow, cwd=tmp_path)
    client = MlflowClient()
    try:
        _wait_until(lambda: sum(path.endswith("runs/update") for _, path, _ in place.proxy.requests) >= 2)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(120)
    experiment = client.get_experiment_by_name("killed").experiment_id
    left = [run for run in client.search_runs([experiment]) if "mlflow.parentRunId" in run.data.tags]
    assert 0 < len(left) < GROUPS

    done = forked_programs.run(*command, *fast, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout)["run_id"]
    nested = _nested(run_id)
    _assert_one_each(nested)
    assert {run.info.run_id for run in left} <= {run.info.run_id for run in nested}
    assert len(client.search_runs([experiment])) == GROUPS + 1
    assert client.get_run(run_id).info.status == "FINISHED"
    assert os.listdir(tmp_path).count(".bundle.run.json") == 0
    assert len(client.search_model_versions("name = 'killed'")) == 1


def _wait_until(true: Any, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
