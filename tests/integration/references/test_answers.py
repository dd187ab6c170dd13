"""A meta-model that refers to registered children answers as the one that holds them, wherever it is asked."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from reference_stores import FAST, GROUPS, Registered, downloads, predicted_by, records_of, table_of
from registered_children import run_of
from servers import HOST, answering, metamodel_server, scoring_server, url_of

import metamodel
from metamodel.cli import main
from metamodel.flavor.remote import aliases as places
from metamodel.flavor.remote.disk_cache import process_disk_cache
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]


def test_the_children_answer_as_the_bundled_ones(registered: Registered, referring: str) -> None:
    answers = metamodel.load_model(referring).predict(registered.rows, {"detail": True})

    np.testing.assert_allclose(answers["prediction"], registered.expected, rtol=1e-9)
    assert set(answers["status"]) == {"child"}
    assert answers.groupby("key")["child_version"].nunique().eq(1).all()
    assert answers["child_version"].nunique() == GROUPS


@pytest.mark.usefixtures("empty_cache")
def test_only_the_children_asked_for_are_downloaded_and_each_once(registered: Registered, referring: str) -> None:
    model = metamodel.load_model(referring)
    registered.proxy.take()
    some = registered.rows[registered.rows["store"].isin([3, 5, 8])]

    for _ in range(3):
        model.predict(some)

    assert sorted(downloads(registered.proxy).values()) == [1, 1, 1]


@pytest.mark.usefixtures("empty_cache")
def test_a_second_model_finds_the_children_on_disk(registered: Registered, referring: str) -> None:
    metamodel.load_model(referring).predict(registered.rows)
    registered.proxy.take()

    answers = metamodel.load_model(referring, cache_bytes=10**8).predict(registered.rows)

    assert set(answers["status"]) == {"child"}
    assert not downloads(registered.proxy)


def test_one_child_can_be_taken_out_as_the_estimator_it_is(registered: Registered, referring: str) -> None:
    rows = registered.rows[registered.rows["store"] == 7][["x", "z"]]
    child = metamodel.load_model(referring).child(7)
    np.testing.assert_allclose(child.predict(rows), registered.bundled.child(7).predict(rows))


def test_mlflow_loads_it_too(registered: Registered, referring: str) -> None:
    answers = mlflow.pyfunc.load_model(referring).predict(registered.rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected, rtol=1e-9)


def test_it_answers_over_http(registered: Registered, referring: str, tmp_path: Path) -> None:
    rows = registered.rows.head(60)
    with scoring_server(referring, tmp_path) as server:
        predicted = predicted_by(server, rows)
    np.testing.assert_allclose(predicted, registered.expected.head(60), rtol=1e-9)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A small scoring server, which answers x times 1000, and under /broken nothing of use."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({})

        def do_POST(self) -> None:
            split = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dataframe_split"]
            x = split["columns"].index("x")
            status = 500 if self.path.startswith("/broken") else 200
            self._send({"predictions": [1000 * row[x] for row in split["data"]]}, status)

        def _send(self, content: Any, status: int = 200) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server, answering(server):
        yield f"{url_of(server)}/invocations"


@pytest.mark.usefixtures("empty_cache")
def test_metamodel_serve_answers_for_children_of_every_kind(
    registered: Registered, endpoint: str, tmp_path: Path
) -> None:
    """Two workers; store 0 is behind an endpoint, store 1 behind a broken one, the others are in the registry."""
    rows = registered.rows.head(60)
    uris = [endpoint, endpoint.replace("/invocations", "/broken/invocations")]
    children = table_of(*uris, *(f"models:/store-{store}@champion" for store in range(2, 10)))
    settings = metamodel.ReferenceSettings(requests_per_second=500, allow_private=True, deadline_seconds=60)
    bundle = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=settings)
    registered.proxy.take()
    (tmp_path / "server").mkdir()
    with metamodel_server(bundle, tmp_path / "server", workers=2) as server:
        answers = [records_of(server, rows) for _ in range(6)]
    assert all(other == answers[0] for other in answers)
    answered = pd.DataFrame(answers[0])
    assert answered["status"].tolist() == np.where(rows["store"] == 1, "failed", "child").tolist()
    expected = registered.expected.head(60).mask(rows["store"] == 0, 1000 * rows["x"]).mask(rows["store"] == 1)
    np.testing.assert_allclose(answered["prediction"].astype(float), expected, rtol=1e-9)
    assert set(downloads(registered.proxy).values()) == {1}  # by one worker, for both


@pytest.mark.spark
def test_it_answers_in_spark(registered: Registered, referring: str, spark: Any) -> None:
    from pyspark.sql.functions import struct

    table = spark.createDataFrame(registered.rows.assign(row=range(len(registered.rows)))).repartition(2)
    score = mlflow.pyfunc.spark_udf(spark, referring, env_manager="local")
    answers = table.select("row", score(struct("store", "x", "z")).alias("answer")).orderBy("row").toPandas()
    predicted = [answer["prediction"] for answer in answers["answer"]]
    np.testing.assert_allclose(predicted, registered.expected, rtol=1e-9)

    scored = metamodel.score(table, referring, engine="spark").orderBy("row").toPandas()
    np.testing.assert_allclose(scored["prediction"], registered.expected, rtol=1e-9)


def test_a_child_in_a_runs_artifacts_is_used(registered: Registered, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] == 6]
    children = pd.DataFrame({"store": [6], "uri": [f"runs:/{run_of(registered.sources[6])}/6"]})
    path = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=FAST)
    answers = metamodel.load_model(path).predict(rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index])


def test_a_runs_place_is_resolved_and_checked(registered: Registered) -> None:
    run = run_of(registered.sources[6])
    place = places.resolve_place(f"runs:/{run}/6")
    assert place == f"{MlflowClient().get_run(run).info.artifact_uri}/6"


def test_inspect_shows_where_children_are(registered: Registered, referring: str) -> None:
    result = CliRunner().invoke(main, ["inspect", referring, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["groups"] == {"referenced": GROUPS}


def test_the_cache_is_shared_by_name(empty_cache: Path, registered: Registered, referring: str) -> None:
    metamodel.load_model(referring).predict(registered.rows)
    assert process_disk_cache().root == empty_cache
    assert process_disk_cache().size > 0
