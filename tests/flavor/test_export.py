"""One child handed out as an ordinary MLflow scikit-learn model."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.exceptions import UnknownGroup
from metamodel.flavor.export import export_child


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": np.repeat(["a", "b"], 40), "x": rng.normal(size=80), "big": rng.random(80) > 0.5})
    frame["weather"] = np.tile(["sun", "rain", "snow", "wind"], 20)
    frame["units"] = 3 * frame["x"] + 5 * (frame["weather"] == "sun") - 2 * frame["big"] + rng.normal(size=80) / 10
    return frame.assign(sold_out=frame["units"] > 2)


TARGETS = [("units", "ridge"), ("units", "random_forest"), ("sold_out", "logistic_regression")]


def exported(table: pd.DataFrame, target: str, estimator: str, codec: str, path: Path) -> metamodel.MetaModel:
    options = {"features": ["x", "big", "weather"], "holdout": 0, "codec": codec, "n_jobs": 1}
    if estimator == "random_forest":  # a hundred trees take skops seconds to look through, and say no more than ten
        options["estimator_params"] = {"n_estimators": 10}
    result = metamodel.train(table, "shop", target, estimator, **options)
    model = metamodel.MetaModel(result.bundle_path)
    export_child(model, ("b",), path)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["cloudpickle", "joblib", "skops"])
@pytest.mark.parametrize(("target", "estimator"), TARGETS)
def test_exported_child_predicts_the_same_behind_its_own_signature(
    table: pd.DataFrame, tmp_path: Path, target: str, estimator: str, codec: str
):
    model = exported(table, target, estimator, codec, tmp_path / "child")
    rows = table[table["shop"] == "b"]

    expected = model.predict(rows)["prediction"].tolist()

    sent = rows[["x", "big", "weather"]]
    assert mlflow.sklearn.load_model(str(tmp_path / "child")).predict(sent).tolist() == expected
    as_pyfunc = mlflow.pyfunc.load_model(str(tmp_path / "child"))
    assert as_pyfunc.predict(sent).tolist() == expected
    assert as_pyfunc.metadata.signature.inputs.input_names() == ["x", "big", "weather"]


def test_exported_child_says_which_group_of_which_bundle_it_was(table: pd.DataFrame, tmp_path: Path):
    model = exported(table, "units", "ridge", "cloudpickle", tmp_path / "child")

    said = mlflow.models.Model.load(str(tmp_path / "child")).metadata["metamodel"]

    assert said == {"group": ["b"], "bundle": model.bundle.digest}


def test_an_unknown_group_leaves_no_directory(table: pd.DataFrame, tmp_path: Path):
    model = exported(table, "units", "ridge", "cloudpickle", tmp_path / "child")

    with pytest.raises(UnknownGroup, match="No child model for group"):
        export_child(model, ("nobody",), tmp_path / "other")

    assert not (tmp_path / "other").exists()
