"""The files of a child: which are needed, and what is loaded from them."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.models import Model, infer_signature
from sklearn.dummy import DummyRegressor

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.exceptions import UnreadableBundle
from metamodel.flavor.remote.child_files import files_of
from metamodel.tracking.references.reference_model import write_references


@pytest.mark.parametrize("name", ["../model.pkl", "a/../../model.pkl", "/etc/passwd", "..\\model.pkl", "C:\\model.pkl"])
def test_a_file_outside_the_model_is_never_fetched(name: str) -> None:
    with pytest.raises(UnreadableBundle, match="names a file outside the model"):
        files_of(Model(flavors={"sklearn": {"pickled_model": name}}))


@pytest.mark.parametrize("name", ["FR%41", "FR#1", "FR?1", "FRÀ a"])
def test_a_directory_is_that_of_its_very_name(tmp_path: Path, name: str) -> None:
    x = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    for number, directory in enumerate(("FRA", "FR", name)):
        model, signature = DummyRegressor(strategy="constant", constant=number).fit(x, x["x"]), infer_signature(x)
        mlflow.sklearn.save_model(model, str(tmp_path / "new"), signature=signature, pip_requirements=[])
        (tmp_path / "new").rename(tmp_path / directory)
    rows = pd.DataFrame({"country": [name], "x": [1.0]})
    settings, template = ReferenceSettings(roots=(str(tmp_path),)), f"file://{tmp_path}/{{country}}"
    path = write_references(tmp_path / "bundle", template, rows, "country", keys=rows, settings=settings)
    assert metamodel.load_model(path).predict(rows)["prediction"].tolist() == [2]
