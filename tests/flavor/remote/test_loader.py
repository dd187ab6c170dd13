"""Where a referenced child is looked for, and how its loader travels."""

import pickle
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from array_children import ROWS
from mlflow.models import infer_signature
from sklearn.dummy import DummyRegressor

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.flavor.remote import disk_cache
from metamodel.tracking.pack_children import pack_children
from metamodel.tracking.references.reference_model import write_references


def test_a_relative_path_is_that_of_the_one_who_refers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    mlflow.sklearn.save_model(
        DummyRegressor().fit(x, x["a"]), str(tmp_path / "model"), signature=infer_signature(x), pip_requirements=[]
    )
    children, rows = pd.DataFrame({"store": [1], "uri": ["model"]}), ROWS[["store", "a"]]
    monkeypatch.chdir(tmp_path)
    path = write_references(tmp_path / "b", children, rows, "store", settings=ReferenceSettings(roots=(".",)))
    monkeypatch.chdir("/")
    assert metamodel.load_model(path).predict(rows)["status"].tolist() == ["child", "child"]


def test_a_model_that_has_read_packed_children_travels_to_other_processes(
    of_array: metamodel.MetaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    model = metamodel.load_model(pack_children(of_array, tmp_path / "packed"))
    before = model.predict(ROWS)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).predict(ROWS), before)
