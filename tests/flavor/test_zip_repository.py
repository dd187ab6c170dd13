"""The store that hands out packed models by their file's address."""

import zipfile
from pathlib import Path

import mlflow
import pytest
from registered_children import panel

import metamodel
from metamodel.exceptions import InputError
from metamodel.tracking.pack_children import write_zip

pytestmark = pytest.mark.tableless


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small meta-model in one file."""
    directory = tmp_path_factory.mktemp("packed")
    result = metamodel.train(panel(3), "store", "y", "ridge", n_jobs=1, holdout=0, output_dir=directory / "bundle")
    write_zip(metamodel.MetaModel(result.bundle_path), directory / "model.zip")
    return directory / "model.zip"


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
