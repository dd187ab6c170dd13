"""The store that hands out packed models by their file's address."""

import zipfile
from pathlib import Path

import mlflow
import pytest

import metamodel
from metamodel.exceptions import InputError

pytestmark = pytest.mark.tableless


def test_nothing_but_packed_models_comes_out_of_the_store(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "secrets.zip", "w") as archive:
        archive.writestr("MLmodel", "flavors: {}")
    with pytest.raises(InputError, match="it holds 0 bundles"):
        mlflow.artifacts.download_artifacts(f"zip:{tmp_path}/secrets.zip")
    with pytest.raises(InputError, match="no zip file that can be read"):
        mlflow.artifacts.download_artifacts(f"zip:{packed}/MLmodel")
    assert mlflow.artifacts.list_artifacts(f"zip:{packed}") == []


def test_a_packed_model_cannot_be_a_child() -> None:
    settings = metamodel.ReferenceSettings(roots=("/",))
    assert "no child; unpack it" in settings.objection("zip:/models/sales.zip")
    assert "no child; unpack it" in settings.objection_behind("models:/sales/1", "ZIP:///models/sales.zip")
