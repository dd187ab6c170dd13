"""The signature says what to send; what is sent otherwise is found row by row."""

from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.types import DataType
from mlflow.types.schema import AnyType

import metamodel


@pytest.fixture(scope="module")
def model() -> Any:
    result = metamodel.train(_prices(), "store", "y", "ridge", holdout=0, n_jobs=1)
    return mlflow.pyfunc.load_model(metamodel.log_model(result, report=False).model_uri)


def _prices() -> pd.DataFrame:
    return pd.DataFrame(
        {"store": [1, 1, 2, 2], "x": [0.5, 1.5, 2.5, 3.5], "n": [1, 2, 3, 5], "y": [1.0, 2.0, 4.0, 7.0]}
    )


def test_every_column_is_optional_and_only_what_loses_nothing_has_a_type(model: Any) -> None:
    inputs = model.metadata.get_input_schema()
    assert inputs.input_names() == ["store", "x", "n"]
    assert inputs.required_input_names() == []
    kinds = [DataType.double if kind == DataType.double else type(kind) for kind in inputs.input_types()]
    assert kinds == [AnyType, DataType.double, AnyType]


def test_a_logged_model_answers_a_table_as_its_bundle_does(model: Any) -> None:
    rows = _prices()[["n", "store", "x"]]
    expected = model.unwrap_python_model().model.predict(rows)
    pd.testing.assert_frame_equal(model.predict(rows), expected)
    assert model.predict(model.input_example)["status"].tolist() == ["child"] * 3


@pytest.mark.parametrize("name", ["x", "n"])
def test_a_feature_of_text_spoils_its_own_row_alone(model: Any, name: str) -> None:
    rows = pd.DataFrame({"store": [1, 1], "x": [0.5, 0.5], "n": [1, 1]}).astype(object)
    rows.loc[1, name] = "text"
    assert model.predict(rows)["status"].tolist() == ["child", "failed"]
