"""Children of the caller's own modules are loaded once where nothing is but the model, before it is logged."""

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked_programs
import mlflow
import pandas as pd
import pytest
from installed_aside import install_aside
from sklearn.linear_model import Ridge

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.flavor.environment import Environment
from metamodel.flavor.fresh_process import warn_of_missing_code
from metamodel.tracking.pack_children import pack

pytestmark = [pytest.mark.slow, pytest.mark.tableless]

MODULE = """
from sklearn.base import BaseEstimator, RegressorMixin

class Doubling(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        import yaml
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return 2 * X[:, 0] if not hasattr(X, "iloc") else 2 * X.iloc[:, 0].to_numpy()
"""

TABLE = pd.DataFrame({"store": [1, 1, 2, 2], "x": [0.5, 1.5, 2.5, 3.5], "y": [1.0, 3.0, 5.0, 7.0]})

ASK = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(pd.DataFrame({"store": [1], "x": [4.0]})).to_dict("records")))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the caller's own, which no other process finds."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "doubling_models.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "own")
    yield importlib.import_module("doubling_models")
    sys.modules.pop("doubling_models", None)


@pytest.fixture
def trained(module: Any) -> metamodel.TrainingResult:
    return metamodel.train(TABLE, "store", "y", module.Doubling(), holdout=0, n_jobs=1)


def _environment(*paths: Path) -> Environment:
    return Environment.of(list(paths), None, None)


def test_a_module_that_does_not_travel_is_named_before_anything_is_logged(trained: metamodel.TrainingResult) -> None:
    with pytest.warns(
        UserWarning, match=r"own modules \(.*doubling_models.*\)\. Give their code, code_paths="
    ) as caught:
        warn_of_missing_code(MetaModel(trained.bundle_path), _environment())
    assert "\n" not in str(caught[0].message)


def test_a_module_that_travels_needs_no_word(trained: metamodel.TrainingResult, module: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warn_of_missing_code(MetaModel(trained.bundle_path), _environment(Path(module.__file__)))
    assert caught == []


def test_children_of_installed_packages_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "run", lambda *command, **_: started.append(command))
    result = metamodel.train(TABLE, "store", "y", Ridge(), holdout=0, n_jobs=1)
    warn_of_missing_code(MetaModel(result.bundle_path), _environment())
    assert started == []


def test_a_package_that_pip_installed_elsewhere_is_required_and_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_aside(tmp_path / "vendored", "tripled_models", "1.5", MODULE.replace("Doubling", "Tripling"))
    monkeypatch.syspath_prepend(tmp_path / "vendored")
    child = importlib.import_module("tripled_models").Tripling()
    model = MetaModel(metamodel.train(TABLE, "store", "y", child, holdout=0, n_jobs=1).bundle_path)
    assert "tripled_models==1.5" in _environment().requirements(model.manifest)
    monkeypatch.setattr(subprocess, "run", lambda *command, **_: pytest.fail(f"{command} was started"))
    warn_of_missing_code(model, _environment())


def _asked_elsewhere(model: str, directory: Path) -> Any:
    done = forked_programs.run("-c", ASK, model, cwd=directory, imported="isolated")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_code_goes_with_the_model_wherever_it_goes(
    trained: metamodel.TrainingResult, module: Any, tmp_path: Path
) -> None:
    info = metamodel.log_model(trained, code_paths=module.__file__, extra_pip_requirements="shap>=0.46", report=False)
    again = pack(info.model_uri)["model_uri"]  # logged anew, it takes along what it was logged with
    for uri in (info.model_uri, again):
        path = Path(mlflow.artifacts.download_artifacts(uri))
        asked = (path / "requirements.txt").read_text().splitlines()
        assert "shap>=0.46" in asked
        assert any(line.startswith("PyYAML==") for line in asked)  # which `fit` imports
        assert _asked_elsewhere(str(path), tmp_path) == [{"prediction": 8.0, "status": "child"}]


def test_code_that_travels_is_found_by_our_own_loader_too(
    trained: metamodel.TrainingResult, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = metamodel.log_model(trained, code_paths=[module.__file__], report=False)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(tmp_path / "own")])
    monkeypatch.delitem(sys.modules, "doubling_models")
    model = metamodel.load_model(info.model_uri, cache_bytes=0)
    assert model.predict(pd.DataFrame({"store": [1], "x": [4.0]}))["prediction"].tolist() == [8.0]
    assert sys.modules["doubling_models"].__file__ != module.__file__
