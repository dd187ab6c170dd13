"""Children registered one by one in a real tracking server, referred to by one meta-model."""

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from click.testing import CliRunner
from mlflow import MlflowClient
from registered_children import Unkind, export_all, panel, register_all, run_of, unkind_proxy, upload_all
from servers import HOST, Server, answering, metamodel_server, scoring_server, url_of

import metamodel
from metamodel.bundle.shards import ShardReader
from metamodel.cli import main
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import InputError
from metamodel.flavor.remote import aliases as places
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote import throttle as politeness
from metamodel.flavor.remote.disk_cache import process_disk_cache
from metamodel.flavor.remote.throttle import courtesy_for
from metamodel.tracking import pack_children as vendoring
from metamodel.tracking.pack_children import vendor_bundle
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]

GROUPS = 24
FAST = metamodel.ReferenceSettings(requests_per_second=500)
TEMPLATE = "models:/store-{store}@champion"


@dataclass(frozen=True)
class Registered:
    """A tracking server with a registered model for each store, and the bundled model they came from."""

    server: Server
    proxy: Unkind
    frame: pd.DataFrame
    bundled: metamodel.MetaModel
    sources: list[str]

    @property
    def rows(self) -> pd.DataFrame:
        """Rows as callers send them."""
        return self.frame.drop(columns="y")

    @property
    def expected(self) -> Any:
        """What the bundled model says."""
        return self.bundled.predict(self.rows)["prediction"]


@pytest.fixture(scope="module")
def registered(tracking: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    frame = panel(GROUPS)
    result = metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundled = metamodel.MetaModel(result.bundle_path)
    with unkind_proxy(tracking.url) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        patch.setenv("METAMODEL_DISK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(disk_cache, "_cache", None)
        exported = tmp_path_factory.mktemp("exported")
        sources = upload_all(export_all(bundled, range(GROUPS), exported), tracking.directory / "artifacts")
        register_all([f"store-{key}" for key in range(GROUPS)], sources, project="stores")
        yield Registered(tracking, proxy, frame, bundled, sources)


@pytest.fixture(autouse=True)
def kind_again(registered: Registered) -> None:
    """Each test begins with a kind proxy, an empty log, and nothing learnt of the server."""
    proxy = registered.proxy
    proxy.limit, proxy.broken_until, proxy.unavailable, proxy.cut = float("inf"), 0.0, "", 0
    proxy.take()
    politeness._limiters.clear()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk cache of the test's own, and no child in memory."""
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def referring(registered: Registered) -> str:
    """URI of the meta-model that refers to all children."""
    info = metamodel.reference(
        TEMPLATE,
        registered.rows,
        "store",
        "y",
        keys=registered.rows,
        settings=FAST,
        registered_model_name="referring",
        alias="champion",
    )
    return str(info.model_uri)


def _downloads(proxy: Unkind) -> Counter[str]:
    """Pickles by source."""
    return Counter(path for _, path, status in proxy.take() if path.endswith("model.pkl") and status == 0)


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

    assert sorted(_downloads(registered.proxy).values()) == [1, 1, 1]


@pytest.mark.usefixtures("empty_cache")
def test_a_second_model_finds_the_children_on_disk(registered: Registered, referring: str) -> None:
    metamodel.load_model(referring).predict(registered.rows)
    registered.proxy.take()

    answers = metamodel.load_model(referring, cache_bytes=10**8).predict(registered.rows)

    assert set(answers["status"]) == {"child"}
    assert not _downloads(registered.proxy)


def test_one_child_can_be_taken_out_as_the_estimator_it_is(registered: Registered, referring: str) -> None:
    rows = registered.rows[registered.rows["store"] == 7][["x", "z"]]
    child = metamodel.load_model(referring).child(7)
    np.testing.assert_allclose(child.predict(rows), registered.bundled.child(7).predict(rows))


def test_mlflow_loads_it_too(registered: Registered, referring: str) -> None:
    answers = mlflow.pyfunc.load_model(referring).predict(registered.rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected, rtol=1e-9)


def _predicted(server: Server, rows: pd.DataFrame) -> list[float]:
    return [row["prediction"] for row in _records(server, rows)]


def _records(server: Server, rows: pd.DataFrame) -> list[dict[str, Any]]:
    body = json.dumps({"dataframe_split": rows.to_dict(orient="split")})
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{server.url}/invocations", data=body, headers=headers, timeout=60)
    assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    records: list[dict[str, Any]] = answer.json()["predictions"]
    return records


def test_it_answers_over_http(registered: Registered, referring: str, tmp_path: Path) -> None:
    rows = registered.rows.head(60)
    with scoring_server(referring, tmp_path) as server:
        predicted = _predicted(server, rows)
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
    children = _table(*uris, *(f"models:/store-{store}@champion" for store in range(2, 10)))
    settings = metamodel.ReferenceSettings(requests_per_second=500, allow_private=True, deadline_seconds=2)
    bundle = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=settings)
    registered.proxy.take()
    (tmp_path / "server").mkdir()
    with metamodel_server(bundle, tmp_path / "server", workers=2) as server:
        answers = [_records(server, rows) for _ in range(6)]
    assert all(other == answers[0] for other in answers)
    answered = pd.DataFrame(answers[0])
    assert answered["status"].tolist() == np.where(rows["store"] == 1, "failed", "child").tolist()
    expected = registered.expected.head(60).mask(rows["store"] == 0, 1000 * rows["x"]).mask(rows["store"] == 1)
    np.testing.assert_allclose(answered["prediction"].astype(float), expected, rtol=1e-9)
    assert set(_downloads(registered.proxy).values()) == {1}  # by one worker, for both


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


# -------- aliases
@pytest.fixture
def two_versions(registered: Registered) -> Iterator[str]:
    """A registered model whose champion is the child of store 1; version 2 is that of store 2."""
    name = "promoted-1"
    register_all([name], registered.sources[1:2])
    client = MlflowClient()
    client.create_model_version(name, registered.sources[2], run_of(registered.sources[2]))
    yield name
    client.delete_registered_model(name)


def _refer_to(registered: Registered, name: str, path: Path, **options: Any) -> Any:
    rows = registered.rows[registered.rows["store"] == 1]
    children = pd.DataFrame({"store": [1], "uri": [f"models:/{name}@champion"]})
    return rows, metamodel.load_model(write_references(path, children, rows, "store", "y", **options))


def test_a_promoted_child_is_picked_up_without_a_new_version(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01)
    rows, model = _refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    before = model.predict(rows)["prediction"]
    MlflowClient().set_registered_model_alias(two_versions, "champion", "2")
    time.sleep(0.02)

    after = model.predict(rows)["prediction"]

    features = rows[["x", "z"]]
    np.testing.assert_allclose(before, registered.bundled.child(1).predict(features))
    np.testing.assert_allclose(after, registered.bundled.child(2).predict(features))


def test_a_pinned_child_stays(registered: Registered, two_versions: str, tmp_path: Path) -> None:
    rows, model = _refer_to(registered, two_versions, tmp_path / "bundle", settings=FAST, pin=True)
    MlflowClient().set_registered_model_alias(two_versions, "champion", "2")

    answers = model.predict(rows)["prediction"]

    np.testing.assert_allclose(answers, registered.bundled.child(1).predict(rows[["x", "z"]]))


def test_where_the_server_is_gone_the_last_known_child_goes_on(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01, patience_seconds=0.1)
    rows, model = _refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    before = model.predict(rows)
    registered.proxy.broken_until = time.monotonic() + 60
    time.sleep(0.02)

    pd.testing.assert_frame_equal(model.predict(rows), before)
    registered.proxy.broken_until = 0.0


def test_a_known_child_waits_briefly_for_the_server_and_once_a_refresh(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    uri = f"models:/{two_versions}@champion"
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=3600)
    courtesy = courtesy_for(mlflow.get_tracking_uri(), 500, 120)
    known = places.place_now(uri, "key", settings, courtesy)
    places._resolved = ByteCache(limit=1000)  # as if the time to refresh had come
    registered.proxy.broken_until = time.monotonic() + 600
    started = time.monotonic()
    assert [places.place_now(uri, "key", settings, courtesy) for _ in range(3)] == [known] * 3
    took, registered.proxy.broken_until = time.monotonic() - started, 0.0
    assert took < 30  # and not three times the patience
    assert not courtesy.limiter.given_up(120)


def test_an_alias_that_was_taken_away_is_not_followed_any_more(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01, patience_seconds=1)
    rows, model = _refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    model.predict(rows)
    MlflowClient().delete_registered_model_alias(two_versions, "champion")
    time.sleep(0.02)

    answers = model.predict(rows, {"detail": True})

    assert set(answers["status"]) == {"failed"}
    assert answers["error"].str.contains("alias champion not found").all()
    registered.proxy.broken_until = time.monotonic() + 60
    assert set(model.predict(rows)["status"]) == {"failed"}  # nor where the server cannot say so again
    registered.proxy.broken_until = 0.0


# -------- a server that wants to be spared
@pytest.mark.usefixtures("empty_cache")
def test_scoring_stays_under_the_limit_and_loses_nothing(registered: Registered, tmp_path: Path) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=18, patience_seconds=60)
    some = registered.rows[registered.rows["store"] < 20]
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    proxy = registered.proxy
    proxy.take()
    proxy.limit, proxy.broken_until, proxy.cut = 20, time.monotonic() + 2, 5

    answers = metamodel.load_model(bundle).predict(some)

    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], registered.expected[some.index], rtol=1e-9)
    assert {0, -1, 503} <= {status for _, _, status in proxy.requests}
    assert 429 not in {status for _, _, status in proxy.requests}
    assert proxy.busiest_second() <= 20
    done = Counter(path for _, path, status in proxy.requests if status == 0)
    assert max(done[path] for path in done if path.endswith(("model.pkl", "MLmodel"))) == 1


@pytest.mark.usefixtures("empty_cache")
def test_a_retry_after_is_heard(registered: Registered, tmp_path: Path) -> None:
    proxy = registered.proxy
    some = registered.rows[registered.rows["store"] < 4]
    # Faster than the server allows: it says 429 with Retry-After: 1, and everybody waits.
    proxy.limit = 5
    write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=FAST)
    refusals = [moment for moment, _, status in proxy.requests if status == 429]
    assert refusals
    # What was under way at that moment still arrives.
    following = [moment for moment, _, _ in proxy.requests if moment > refusals[0] + 0.5]
    assert min(following) >= refusals[0] + 0.9


@pytest.mark.usefixtures("empty_cache")
def test_a_dead_server_fails_the_rows_and_is_not_asked_for_every_group(registered: Registered, tmp_path: Path) -> None:
    some = registered.rows[registered.rows["store"] < 20]
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=1)
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    registered.proxy.broken_until = time.monotonic() + 60
    registered.proxy.take()

    answers = metamodel.load_model(bundle).predict(some, {"detail": True})

    assert set(answers["status"]) == {"failed"}
    assert answers["error"].str.contains("cannot be loaded").all()
    asked = {path for _, path, _ in registered.proxy.requests}
    assert len(asked) < 10


@pytest.mark.usefixtures("empty_cache")
def test_a_child_whose_files_are_broken_stops_no_other(registered: Registered, tmp_path: Path) -> None:
    some = registered.rows[registered.rows["store"] < 20]
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=1)
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    registered.proxy.unavailable = "/0/model.pkl"  # the server answers all that is asked beside it

    model = metamodel.load_model(bundle, cache_bytes=10**8)
    answers = model.predict(some)["status"]
    registered.proxy.take()
    again = model.predict(some)["status"]

    failing = some["store"] == 0
    assert set(answers[failing]) == set(again[failing]) == {"failed"}
    assert set(answers[~failing]) == set(again[~failing]) == {"child"}
    assert not registered.proxy.take()  # and is left alone itself for half a minute


# -------- disk
def test_the_disk_cache_stays_in_bounds_and_temporary_directories_stay_empty(
    registered: Registered, referring: str, tmp_path: Path
) -> None:
    limit_mb = 0.15
    cache = tmp_path / "cache"
    program, env = _scoring(tmp_path, referring, METAMODEL_DISK_CACHE_MB=str(limit_mb))
    subprocess.run([*program, _written(registered.rows, tmp_path)], env=env, check=True, timeout=120)

    children = list((cache / "entries").iterdir())
    used = sum(path.stat().st_blocks * 512 for path in (cache / "entries").rglob("*"))
    assert 0 < len(children) < GROUPS
    assert used <= limit_mb * 2**20
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((cache / "partial").iterdir())


def test_what_a_killed_scoring_process_leaves_goes_with_the_next_one(
    registered: Registered, referring: str, tmp_path: Path
) -> None:
    program, env = _scoring(tmp_path, referring)
    rows = _written(registered.rows, tmp_path)
    registered.proxy.unavailable = "/model.pkl"  # so that a download is under way when it is killed
    with subprocess.Popen([*program, rows], env=env) as process:
        while process.poll() is None and not list((tmp_path / "cache" / "partial").glob("*/*/MLmodel")):
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "tmp").iterdir())  # the referring model itself
    assert list((tmp_path / "cache" / "partial").iterdir())
    registered.proxy.unavailable = ""

    subprocess.run([*program, rows], env=env, check=True, timeout=120)

    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "cache" / "partial").iterdir())
    assert len(list((tmp_path / "cache" / "entries").iterdir())) == GROUPS


def _scoring(directory: Path, uri: str, **env: str) -> tuple[list[str], dict[str, str]]:
    """A program that scores the file it is given, with directories of its own."""
    (directory / "tmp").mkdir()
    program = (
        "import sys, pandas as pd, metamodel\n"
        "rows = pd.read_parquet(sys.argv[2])\n"
        "answers = metamodel.load_model(sys.argv[1]).predict(rows)\n"
        "assert set(answers['status']) == {'child'}\n"
    )
    quiet = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    own = {"TMPDIR": str(directory / "tmp"), "METAMODEL_DISK_CACHE": str(directory / "cache")}
    return [sys.executable, "-c", program, uri], {**os.environ, **quiet, **own, **env}


def _written(rows: pd.DataFrame, directory: Path) -> str:
    rows.to_parquet(directory / "rows.parquet")
    return str(directory / "rows.parquet")


# -------- what is refused, with nothing registered
def _versions(name: str) -> int:
    return len(MlflowClient().search_model_versions(f"name = '{name}'"))


def _refused(registered: Registered, children: Any, match: str, **options: Any) -> None:
    with pytest.raises(InputError, match=match):
        metamodel.reference(
            children,
            options.pop("example", registered.rows),
            "store",
            "y",
            settings=options.pop("settings", FAST),
            registered_model_name="refused",
            **options,
        )
    assert not MlflowClient().search_registered_models("name = 'refused'")


def _table(*uris: str) -> pd.DataFrame:
    return pd.DataFrame({"store": range(len(uris)), "uri": uris})


def test_one_report_names_all_that_is_missing(registered: Registered) -> None:
    children = _table("models:/nobody-0@champion", "models:/store-1@champion", "models:/nobody-2@champion", "/etc")
    match = r"3 of 4 references cannot be used, so nothing was registered\. .*nobody-0.*nobody-2.*outside the allowed"
    _refused(registered, children, match)


def test_a_signature_that_lacks_a_feature_is_refused(registered: Registered) -> None:
    example = registered.rows.assign(colour=1.0)
    _refused(registered, _table("models:/store-0@champion"), "lacks the feature 'colour'", example=example)


def test_a_signature_that_asks_for_more_is_refused(registered: Registered) -> None:
    example = registered.rows.drop(columns="z")
    _refused(registered, _table("models:/store-0@champion"), "asks for 'z'", example=example)


def test_a_flavor_that_is_not_installed_is_refused(registered: Registered, tmp_path: Path) -> None:
    model = tmp_path / "models" / "exotic"
    model.mkdir(parents=True)
    (model / "MLmodel").write_text(
        "flavors:\n  exotic_boost:\n    data: model\n  python_function:\n    loader_module: mlflow.exotic_boost\n"
    )
    settings = metamodel.ReferenceSettings(roots=(str(tmp_path / "models"),))
    _refused(registered, _table(str(model)), "The flavor exotic_boost is not installed", settings=settings)


def test_a_directory_inside_the_root_is_used(registered: Registered, tmp_path: Path) -> None:
    (path,) = export_all(registered.bundled, [4], tmp_path)
    settings = metamodel.ReferenceSettings(roots=(str(tmp_path),))
    rows = registered.rows[registered.rows["store"] == 4]
    children = pd.DataFrame({"store": [4], "uri": [str(path)]})
    bundle = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=settings)
    answers = metamodel.load_model(bundle).predict(rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index])


# -------- children in a web store
@pytest.fixture
def store(registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server with the models of stores 0 to 2; under /moved it sends callers elsewhere."""
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")  # by which MLflow knows a tracking server's own process
    export_all(registered.bundled, range(3), tmp_path / "models")

    class Files(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/moved/"):
                super().do_GET()
                return
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer((HOST, 0), partial(Files, directory=tmp_path / "models")) as server, answering(server):
        yield url_of(server)


@pytest.mark.usefixtures("empty_cache")
def test_a_store_that_is_down_stops_no_child_elsewhere(registered: Registered, store: str, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] < 3]
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=1, allow_private=True)
    children = _table(f"{store}/0", "models:/store-1@champion", "models:/store-2@champion")
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=settings)
    shutil.rmtree(tmp_path / "models" / "0")

    def answers() -> list[str]:
        return metamodel.load_model(path, cache_bytes=0).predict(rows)["status"].tolist()

    assert answers() == ["failed"] * 6 + ["child"] * 12
    politeness.courtesy_for(store, 500, 1).limiter.give_up(1)  # as after a second of lost connections
    assert answers() == ["failed"] * 6 + ["child"] * 12


@pytest.mark.usefixtures("empty_cache")
def test_a_web_stores_redirect_is_not_followed(registered: Registered, store: str, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] < 2]
    settings = metamodel.ReferenceSettings(requests_per_second=500, allow_private=True)
    match = "1 of 2 references .* answers with a redirect, which is not followed"
    _refused(registered, _table(f"{store}/0", f"{store}/moved/1"), match, example=rows, settings=settings)

    children = _table(f"{store}/0", f"{store}/1")
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=settings)
    answers = metamodel.load_model(path).predict(rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index], rtol=1e-9)


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


@pytest.fixture(scope="module")
def other(registered: Registered) -> str:
    """URI of another meta-model, that has no child for store 1."""
    frame = registered.frame[registered.frame["store"] != 1]
    return str(
        metamodel.log_model(metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0), report=False).model_uri
    )


def test_a_child_of_another_meta_model_is_used(registered: Registered, other: str, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] < 3]
    children = _table(other, "models:/store-1@champion", other)

    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=FAST)

    answers = metamodel.load_model(path).predict(rows)
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index], rtol=1e-9)


def test_a_meta_model_that_many_groups_refer_to_is_looked_at_once(
    registered: Registered, other: str, tmp_path: Path
) -> None:
    children = pd.DataFrame({"store": range(2, GROUPS), "uri": other})
    registered.proxy.take()
    write_references(tmp_path / "b", children, registered.rows, "store", "y", settings=FAST)
    assert len(registered.proxy.take()) < 10


def test_a_group_that_another_meta_model_does_not_know_is_refused(registered: Registered, other: str) -> None:
    match = r"1 of 3 references .*That meta-model has no child for the group: \(1,\) → models:/"
    _refused(registered, _table(other, other, other), match)


def test_a_meta_model_with_other_group_columns_is_refused(registered: Registered, other: str) -> None:
    match = r"That meta-model's group columns are store \(integer\), not store \(string\)"
    example = registered.rows.assign(store=registered.rows["store"].astype(str))
    _refused(registered, _table(other, other).astype(str), match, example=example)


def test_a_promoted_meta_model_with_other_group_columns_is_refused_and_not_fetched_again(
    registered: Registered, empty_cache: Path, tmp_path: Path
) -> None:
    def promote(column: str) -> None:
        frame = registered.frame.rename(columns={"store": column})
        result = metamodel.train(frame, column, "y", "ridge", n_jobs=1, holdout=0)
        metamodel.log_model(result, registered_model_name="regrouped", alias="champion", report=False)

    promote("store")
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01)
    rows, model = _refer_to(registered, "regrouped", tmp_path / "bundle", settings=settings)
    promote("shop")
    for _ in range(2):
        time.sleep(0.02)
        answers = model.predict(rows, {"detail": True})
        (fetched,) = (empty_cache / "entries").iterdir()
        os.utime(fetched, (0, 0))  # as if it had been fetched long ago
    assert answers["error"].str.contains(r"group columns are shop \(integer\), not store", regex=True).all()


# -------- the command
def test_the_command_refers_to_what_a_search_finds(registered: Registered, tmp_path: Path) -> None:
    example = tmp_path / "rows.csv"
    registered.rows.to_csv(example, index=False)
    command = ["reference", "--search", "tags.project = 'stores'", "--follow", "champion", "--example", str(example)]
    result = CliRunner().invoke(
        main, [*command, "--group-by", "store", "--target", "y", "--rate", "500", "--register", "found", "--json"]
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["version"] == 1
    answers = metamodel.load_model("models:/found/1").predict(registered.rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected, rtol=1e-9)


def test_the_command_answers_bad_references_with_one_line_and_code_2(registered: Registered, tmp_path: Path) -> None:
    registered.rows.head(6).to_csv(tmp_path / "rows.csv", index=False)
    command = ["reference", "--children", "models:/missing-{store}@champion", "--example", str(tmp_path / "rows.csv")]
    result = CliRunner().invoke(main, [*command, "--group-by", "store", "--target", "y", "--rate", "500"])
    assert result.exit_code == 2
    assert "error: 1 of 1 reference cannot be used" in result.stderr


def test_the_cache_is_shared_by_name(empty_cache: Path, registered: Registered, referring: str) -> None:
    metamodel.load_model(referring).predict(registered.rows)
    assert process_disk_cache().root == empty_cache
    assert process_disk_cache().size > 0


# -------- packing
@pytest.fixture(scope="module")
def packed(registered: Registered, referring: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with the model and all its children."""
    path = tmp_path_factory.mktemp("packed") / "model.zip"
    result = CliRunner().invoke(main, ["pack", referring, "--vendor", "--zip", str(path)])
    assert result.exit_code == 0, result.stderr
    return path


def _alone(directory: Path) -> dict[str, str]:
    """An environment without a tracking server, and without what other tests have downloaded."""
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "METAMODEL_DISK_CACHE": str(directory / "cache"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }


def test_a_packed_model_is_served_without_a_tracking_server(
    registered: Registered, packed: Path, tmp_path: Path
) -> None:
    rows = registered.rows.head(60)
    registered.proxy.take()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(packed, elsewhere / "sales.zip")
    with scoring_server("zip:sales.zip", elsewhere, env=_alone(tmp_path)) as server:
        predicted = _predicted(server, rows)
    assert {path.name for path in elsewhere.iterdir()} == {"sales.zip", "server.log"}
    np.testing.assert_allclose(predicted, registered.expected.head(60), rtol=1e-9)
    assert not registered.proxy.requests


def test_serve_check_loads_every_child(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _alone(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(disk_cache, "_cache", None)
    result = CliRunner().invoke(main, ["serve-check", str(packed), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["children"] == GROUPS


def test_serve_check_refuses_what_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_text("no zip")
    result = CliRunner().invoke(main, ["serve-check", str(tmp_path / "model.zip")])
    assert result.exit_code == 2
    assert "is no zip file that can be read" in result.stderr


@pytest.mark.usefixtures("empty_cache")
def test_vendored_children_are_the_same_bytes(registered: Registered, referring: str, tmp_path: Path) -> None:
    model = metamodel.load_model(referring)
    vendored = metamodel.load_model(vendor_bundle(model, tmp_path / "vendored"))

    before, after = (it.predict(registered.rows, {"detail": True}) for it in (model, vendored))

    pd.testing.assert_frame_equal(before, after)
    digests = vendored.ledger.set_index("store")["sha256"].str[:12]
    assert after["child_version"].tolist() == digests[registered.rows["store"]].tolist()
    with zipfile.ZipFile(io.BytesIO(_archive_of(vendored, 3))) as archive:
        assert pickle.loads(archive.read("model.pkl")).coef_ == pytest.approx(registered.bundled.child(3).coef_)


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("inputs", ["columns", "packed"])
def test_packing_keeps_what_a_call_answers_and_takes_packed_examples(
    registered: Registered, tmp_path: Path, inputs: Any
) -> None:
    result = metamodel.train(registered.frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    info = metamodel.log_model(result, detail=True, inputs="packed", report=False)
    file = str(tmp_path / "model.zip")
    command = ["pack", info.model_uri, "--zip", file, "--register", f"kept-{inputs}", "--inputs", inputs]
    packed = CliRunner().invoke(main, command)
    assert packed.exit_code == 0, packed.stderr
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "model")
    for uri in (tmp_path / "model", f"models:/kept-{inputs}/1"):
        model = mlflow.pyfunc.load_model(str(uri), model_config={"preload": 2})
        assert "child_version" in model.predict(model.input_example)
        assert ("features" in model.metadata.signature.inputs.input_names()) == (inputs == "packed")
    version = MlflowClient().get_model_version(f"kept-{inputs}", "1")
    assert version.description == f"Holds {GROUPS} child models by store."


@pytest.mark.usefixtures("empty_cache")
def test_another_meta_model_is_packed_once(
    registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    archive = vendoring._archive
    monkeypatch.setattr(vendoring, "_archive", lambda directory: (made.append(directory), archive(directory))[1])
    result = metamodel.train(registered.frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundle = metamodel.log_model(result, report=False).model_uri
    rows = registered.rows[registered.rows["store"] < 6]
    path = write_references(tmp_path / "b", _table(*[bundle] * 6), rows, "store", "y", settings=FAST)
    vendored = metamodel.load_model(vendor_bundle(metamodel.load_model(path), tmp_path / "vendored"))
    assert len(made) == 1
    np.testing.assert_allclose(vendored.predict(rows)["prediction"], registered.expected[rows.index], rtol=1e-9)


def _archive_of(model: metamodel.MetaModel, store: int) -> bytes:
    assert model.bundle.references is not None
    reference = model.bundle.references.find(f"[{store}]")
    assert reference is not None
    path = model.bundle.path / "vendored" / "00000.sqlite"
    row = ShardReader(path, path.stat().st_size).read(reference.vendored)
    assert row is not None
    return row.child or b""
