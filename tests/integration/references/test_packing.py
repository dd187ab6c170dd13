"""Children that are brought into the bundle, and a model packed into one file."""

import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from reference_stores import FAST, GROUPS, Registered, predicted_by, table_of
from servers import scoring_server

import metamodel
from metamodel.bundle.shard_reader import ShardReader
from metamodel.cli import main
from metamodel.flavor.remote import disk_cache
from metamodel.tracking import pack_children as packing
from metamodel.tracking.pack_children import pack_children
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]


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
        predicted = predicted_by(server, rows)
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
def test_packed_children_are_the_same_bytes(registered: Registered, referring: str, tmp_path: Path) -> None:
    model = metamodel.load_model(referring)
    packed = metamodel.load_model(pack_children(model, tmp_path / "packed"))

    before, after = (it.predict(registered.rows, {"detail": True}) for it in (model, packed))

    pd.testing.assert_frame_equal(before, after)
    digests = packed.ledger.set_index("store")["sha256"].str[:12]
    assert after["child_version"].tolist() == digests[registered.rows["store"]].tolist()
    with zipfile.ZipFile(io.BytesIO(_archive_of(packed, 3))) as archive:
        assert pickle.loads(archive.read("model.pkl")).coef_ == pytest.approx(registered.bundled.child(3).coef_)


@pytest.mark.usefixtures("empty_cache")
def test_packing_keeps_what_a_call_answers_and_the_example(registered: Registered, tmp_path: Path) -> None:
    result = metamodel.train(registered.frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    info = metamodel.log_model(result, detail=True, report=False)
    file = str(tmp_path / "model.zip")
    command = ["pack", info.model_uri, "--zip", file, "--register", "kept"]
    packed = CliRunner().invoke(main, command)
    assert packed.exit_code == 0, packed.stderr
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "model")
    for uri in (tmp_path / "model", "models:/kept/1"):
        model = mlflow.pyfunc.load_model(str(uri), model_config={"preload": 2})
        assert "child_version" in model.predict(model.input_example)
    version = MlflowClient().get_model_version("kept", "1")
    assert version.description == f"Holds {GROUPS} child models by store."


@pytest.mark.usefixtures("empty_cache")
def test_another_meta_model_is_packed_once(
    registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    archive = packing._archive
    monkeypatch.setattr(packing, "_archive", lambda directory: (made.append(directory), archive(directory))[1])
    result = metamodel.train(registered.frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundle = metamodel.log_model(result, report=False).model_uri
    rows = registered.rows[registered.rows["store"] < 6]
    path = write_references(tmp_path / "b", table_of(*[bundle] * 6), rows, "store", "y", settings=FAST)
    packed = metamodel.load_model(pack_children(metamodel.load_model(path), tmp_path / "packed"))
    assert len(made) == 1
    np.testing.assert_allclose(packed.predict(rows)["prediction"], registered.expected[rows.index], rtol=1e-9)


def _archive_of(model: metamodel.MetaModel, store: int) -> bytes:
    assert model.bundle.references is not None
    reference = model.bundle.references.find(f"[{store}]")
    assert reference is not None
    path = model.bundle.path / "packed" / "00000.sqlite"
    row = ShardReader(path).read(reference.packed)
    assert row is not None
    return row.child or b""
