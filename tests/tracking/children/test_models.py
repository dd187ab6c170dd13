"""Children as models of their own."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked_programs
import mlflow
import numpy as np
import pandas as pd
import pytest
from sales_groups import assert_same_answers, child_models, logged_as_models, sales_table

import metamodel
from metamodel.tracking import log_training


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


OWN_PACKAGE = """
from sklearn.linear_model import Ridge

class Halved(Ridge):
    def predict(self, X):
        from halved_models.shares import SHARE
        return SHARE * super().predict(X)
"""

ASK = """
import json, sys
import mlflow, pandas as pd
rows = pd.DataFrame({"x": [4.0]})
ways = (mlflow.sklearn.load_model, mlflow.pyfunc.load_model)
print(json.dumps([float(load(sys.argv[1]).predict(rows)[0]) for load in ways]))
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the caller's own, which no other process finds."""
    package = tmp_path / "own" / "halved_models"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "shares.cpython-311.pyc").write_bytes(b"compiled")
    (package / "__init__.py").write_text(OWN_PACKAGE, encoding="utf-8")
    (package / "shares.py").write_text("SHARE = 0.5\n", encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "halved_models"]:
        del sys.modules[name]


def _trained_on_own_package() -> metamodel.TrainingResult:
    table = pd.DataFrame({"store": [1] * 3, "x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
    child = importlib.import_module("halved_models").Halved(alpha=1e-9)
    return metamodel.train(table, "store", "y", child, holdout=0, min_rows=1, n_jobs=1)


@pytest.mark.slow
@pytest.mark.tableless
def test_code_and_requirements_go_with_each_child(own_package: Path, tmp_path: Path) -> None:
    result = _trained_on_own_package()
    info = logged_as_models(result, code_paths=own_package, extra_pip_requirements=["shap>=0.46"])
    (model,) = child_models(info)
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}"))
    code = sorted(file.relative_to(files).as_posix() for file in (files / "code").rglob("*") if file.is_file())
    assert code == ["code/halved_models/__init__.py", "code/halved_models/shares.py"]
    assert "- shap>=0.46" in (files / "python_env.yaml").read_text()
    done = forked_programs.run("-c", ASK, str(files), cwd=tmp_path, imported="isolated")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), [4.0, 4.0], rtol=1e-6)


@pytest.mark.tableless
def test_a_child_whose_code_was_edited_is_logged_again_into_the_same_run(
    own_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether children load in a fresh process is asked in the test above, and costs three interpreters here.
    monkeypatch.setattr(log_training, "warn_of_missing_code", lambda *_: None)
    result = _trained_on_own_package()
    shares, ids = [], []
    for share in (0.5, 0.25, 0.25):
        (own_package / "shares.py").write_text(f"SHARE = {share}\n", encoding="utf-8")
        with mlflow.start_run(mlflow.last_active_run().info.run_id if ids else None):
            info = metamodel.log_model(result, log_children="models", report=False, code_paths=own_package)
        (model,) = child_models(info)
        ids.append(model.model_id)
        shares.append(Path(model.artifact_location, "code", "halved_models", "shares.py").read_text(encoding="utf-8"))
    assert shares == ["SHARE = 0.5\n", "SHARE = 0.25\n", "SHARE = 0.25\n"]
    assert ids[0] != ids[1] == ids[2]
