"""Children as models of their own."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sales_groups import assert_same_answers, child_models, logged_as_models, sales_table

import metamodel


def test_a_logged_child_is_a_model_of_its_own(sales: metamodel.TrainingResult, info: Any) -> None:
    (model,) = [found for found in child_models(info) if found.tags.get("store") == "a/b:c.d%\"e'"]
    rows = sales_table()[sales_table()["store"].str.startswith("a/b")][["u", "v", "n"]].astype(float)
    expected = metamodel.MetaModel(sales.bundle_path).child(("FR", "a/b:c.d%\"e'")).predict(rows)
    uri = f"models:/{model.model_id}"
    np.testing.assert_allclose(mlflow.sklearn.load_model(uri).predict(rows), expected)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(rows), expected)
    assert model.name == "model-FR · a_b_c_d__e_"
    assert {metric.key: metric.value for metric in model.metrics}["train_rmse"] >= 0
    assert model.params["rows"] == "8"
    environment = Path(mlflow.artifacts.download_artifacts(uri)) / "python_env.yaml"
    assert "- scikit-learn==" in environment.read_text()


@pytest.mark.parametrize("codec", ["cloudpickle", "skops"])
def test_classifiers_and_every_kind_of_feature(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAMODEL_TRUSTED_TYPES", "numpy.dtype")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(["a", "b"], 40), "f32": rng.normal(size=80).astype("float32")})
    frame = frame.assign(i=rng.integers(0, 9, 80), flag=rng.random(80) > 0.5, maybe=rng.normal(size=80))
    frame["maybe"] = frame["maybe"].mask(rng.random(80) < 0.2)
    label = np.where(frame["f32"] + frame["flag"] > 0.5, "yes", "no")
    result = metamodel.train(frame.assign(label=label), "g", "label", "logistic_regression", n_jobs=1, codec=codec)
    info = logged_as_models(result, predict_method="predict_proba")
    assert_same_answers(result, info.model_uri, frame, predict_method="predict_proba")
