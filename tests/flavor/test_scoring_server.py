"""What MLflow's scoring server reads and refuses once a meta-model has taken it over."""

import copy
import pickle
from typing import Any

import pytest
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from metamodel.flavor.scoring_server import PublicError


# -------- errors
def test_a_public_error_keeps_its_message_whatever_mlflow_puts_in_front_of_it() -> None:
    error = PublicError("The table lacks a column.", INVALID_PARAMETER_VALUE)
    error.message = f"Failed to predict data 'secret rows'. \nError: {error.message}"
    assert error.message == str(error) == "The table lacks a column."
    assert "secret" not in error.serialize_as_json()


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_a_public_error_survives_pickling(again: Any) -> None:
    error = again(PublicError("The table lacks a column.", INVALID_PARAMETER_VALUE))
    error.message = "other words"
    assert type(error) is PublicError
    assert (error.message, str(error)) == ("The table lacks a column.",) * 2
    assert (error.error_code, error.get_http_status_code()) == ("INVALID_PARAMETER_VALUE", 400)


def test_a_public_error_without_a_code_is_the_servers_fault() -> None:
    assert PublicError("The bundle is damaged.").get_http_status_code() == 500
