"""What is refused, with nothing registered; and children in a web store."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from reference_stores import Registered, refused, table_of
from registered_children import export_all
from servers import HOST, answering, url_of

import metamodel
from metamodel.cli import main
from metamodel.flavor.remote import throttle as throttling
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]


def _versions(name: str) -> int:
    return len(MlflowClient().search_model_versions(f"name = '{name}'"))


def test_one_report_names_all_that_is_missing(registered: Registered) -> None:
    children = table_of("models:/nobody-0@champion", "models:/store-1@champion", "models:/nobody-2@champion", "/etc")
    match = r"3 of 4 references cannot be used, so nothing was registered\. .*nobody-0.*nobody-2.*outside the allowed"
    refused(registered, children, match)


def test_a_signature_that_lacks_a_feature_is_refused(registered: Registered) -> None:
    example = registered.rows.assign(colour=1.0)
    refused(registered, table_of("models:/store-0@champion"), "lacks the feature 'colour'", example=example)


def test_a_signature_that_asks_for_more_is_refused(registered: Registered) -> None:
    example = registered.rows.drop(columns="z")
    refused(registered, table_of("models:/store-0@champion"), "asks for 'z'", example=example)


def test_a_flavor_that_is_not_installed_is_refused(registered: Registered, tmp_path: Path) -> None:
    model = tmp_path / "models" / "exotic"
    model.mkdir(parents=True)
    (model / "MLmodel").write_text(
        "flavors:\n  exotic_boost:\n    data: model\n  python_function:\n    loader_module: mlflow.exotic_boost\n"
    )
    settings = metamodel.ReferenceSettings(roots=(str(tmp_path / "models"),))
    refused(registered, table_of(str(model)), "The flavor exotic_boost is not installed", settings=settings)


def test_a_directory_inside_the_root_is_used(registered: Registered, tmp_path: Path) -> None:
    (path,) = export_all(registered.bundled, [4], tmp_path)
    settings = metamodel.ReferenceSettings(roots=(str(tmp_path),))
    rows = registered.rows[registered.rows["store"] == 4]
    children = pd.DataFrame({"store": [4], "uri": [str(path)]})
    bundle = write_references(tmp_path / "bundle", children, rows, "store", "y", settings=settings)
    answers = metamodel.load_model(bundle).predict(rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index])


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
    children = table_of(f"{store}/0", "models:/store-1@champion", "models:/store-2@champion")
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=settings)
    shutil.rmtree(tmp_path / "models" / "0")

    def answers() -> list[str]:
        return metamodel.load_model(path, cache_bytes=0).predict(rows)["status"].tolist()

    assert answers() == ["failed"] * 6 + ["child"] * 12
    throttling.throttle_for(store, 500, 1).limiter.give_up(1)  # as after a second of lost connections
    assert answers() == ["failed"] * 6 + ["child"] * 12


@pytest.mark.usefixtures("empty_cache")
def test_a_web_stores_redirect_is_not_followed(registered: Registered, store: str, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] < 2]
    settings = metamodel.ReferenceSettings(requests_per_second=500, allow_private=True)
    match = "1 of 2 references .* answers with a redirect, which is not followed"
    refused(registered, table_of(f"{store}/0", f"{store}/moved/1"), match, example=rows, settings=settings)

    children = table_of(f"{store}/0", f"{store}/1")
    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=settings)
    answers = metamodel.load_model(path).predict(rows)
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index], rtol=1e-9)


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
