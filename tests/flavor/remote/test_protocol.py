"""What a request says, and which answers are answers."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import ColSpec, DataType, Schema
from small_endpoints import LOCAL, Endpoint, feature_rows

from metamodel.exceptions import ChildUnavailable
from metamodel.flavor.remote.endpoint import EndpointChild
from metamodel.flavor.remote.protocol import question, rows_refused


# -------- one endpoint
@pytest.mark.parametrize(
    "predictions",
    [[1.0, 2.0], [[1.0], [2.0]], [{"prediction": 1.0}, {"prediction": 2.0}], [{"0": 1.0}, {"0": 2.0}]],
    ids=["values", "lists", "answers of a meta-model", "records"],
)
def test_every_form_of_an_answer_is_read(start: Callable[..., Endpoint], predictions: Any) -> None:
    endpoint = start(answer=lambda rows: (200, {"predictions": predictions}))
    assert EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1, 2)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"predictions": [1.0]}, "gave 1 answer for 2 rows"),
        ({"answers": []}, "something else"),
        ([], "something else"),
        ({"predictions": "12"}, "something else"),
        ({"predictions": [[1.0, 2.0], [3.0, 4.0]]}, "something else"),
        ({"predictions": [{"a": 1.0, "b": 2.0}] * 2}, "something else"),
    ],
)
def test_an_odd_answer_is_none(start: Callable[..., Endpoint], content: Any, match: str) -> None:
    endpoint = start(answer=lambda rows: (200, content))
    with pytest.raises(ChildUnavailable, match=match):
        EndpointChild(endpoint.url, LOCAL).predict(feature_rows(1, 2))


def test_missing_values_arrive_as_null(start: Callable[..., Endpoint]) -> None:
    seen: list[Any] = []
    endpoint = start(answer=lambda rows: (seen.extend(rows), (200, {"predictions": [None, 1.0]}))[1])
    answers = EndpointChild(endpoint.url, LOCAL).predict(feature_rows(float("nan"), 1.0))
    assert seen == [[None, 0.0], [1.0, 0.0]]
    np.testing.assert_array_equal(answers, [np.nan, 1.0])


@pytest.mark.parametrize("declared", [DataType.integer, DataType.long])
def test_mlflows_words_for_a_null_that_a_column_cannot_hold_are_understood(declared: DataType) -> None:
    rows = pd.DataFrame({"n rooms": [1.0, np.nan], "x": [0.5, np.nan]})
    schema = Schema([ColSpec(declared, "n rooms"), ColSpec(DataType.double, "x")])
    with pytest.raises(MlflowException) as raised:
        infer_and_parse_data(json.loads(question(rows)), schema)
    error = rows_refused("the endpoint", raised.value.serialize_as_json().encode(), rows)
    assert error.column == "n rooms"
    assert "in n rooms, where a value is missing" in str(error)
    assert pickle.loads(pickle.dumps(error)).column == "n rooms"
