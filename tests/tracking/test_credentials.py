"""Credentials that somebody gives in an option stand in nothing that is stored or shown."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import metamodel
from metamodel.common.uris import redacted

SECRET = "pa55word"
URI = f"https://ann:{SECRET}@store.example/model?token={SECRET}"


class Remote(RegressorMixin, BaseEstimator):
    """Is told where something lies, and fails for one group with that in its words."""

    def __init__(self, place: str = "") -> None:
        self.place = place

    def fit(self, x: Any, y: Any) -> "Remote":
        if float(np.asarray(y)[0]) >= 100:
            raise ValueError(f"{self.place} gave no answer")
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x))


# Its class stands in this test, whose folder travels with no model.
pytestmark = pytest.mark.filterwarnings("ignore:The model cannot be loaded without:UserWarning")


@pytest.fixture
def result(tmp_path: Path) -> metamodel.TrainingResult:
    rows = pd.DataFrame({"group": [0, 0, 0, 1, 1, 1], "x": range(6), "y": [0.0, 1.0, 2.0, 100.0, 101.0, 102.0]})
    options = {"holdout": 0, "n_jobs": 1, "stack": False, "output_dir": tmp_path / "bundle"}
    return metamodel.train(rows, "group", "y", Remote(place=URI), **options)


def test_an_estimators_parameter_and_its_error_are_shown_without_them(result: metamodel.TrainingResult) -> None:
    shown = [result.manifest.to_json(), result.ledger.to_json(), json.dumps(result.config, default=str), str(result)]
    assert [text for text in shown if SECRET in text] == []
    assert "https://***@store.example/model?token=***" in result.ledger["params"].iloc[0]


def test_the_run_holds_none(result: metamodel.TrainingResult, tmp_path: Path) -> None:
    info = metamodel.log_model(result, tags={"team": "pricing"})
    run = mlflow.get_run(info.run_id)
    assert SECRET not in json.dumps(run.to_dictionary())
    files = Path(mlflow.artifacts.download_artifacts(run_id=info.run_id, dst_path=str(tmp_path))).rglob("*")
    texts = {path.name: path.read_bytes() for path in files if path.suffix in (".html", ".json", ".yaml", ".txt")}
    assert {"report.html", "ledger.json", "config.yaml"} <= texts.keys()
    assert [name for name, content in texts.items() if SECRET.encode() in content] == []


def test_requirements_with_credentials_are_refused_without_being_shown(result: metamodel.TrainingResult) -> None:
    line = f"mine @ git+https://ann:{SECRET}@git.example/mine.git"
    with pytest.raises(metamodel.InputError, match="holds an address with credentials") as raised:
        metamodel.log_model(result, extra_pip_requirements=[line])
    assert SECRET not in redacted(str(raised.value)) == str(raised.value)
