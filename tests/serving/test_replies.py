"""Refusals look as MLflow's do."""

import json

import pytest
from mlflow.exceptions import MlflowException

from metamodel.serving.replies import refusal, refused

pytestmark = pytest.mark.tableless


def test_a_refusal_of_ours_has_the_form_of_mlflows() -> None:
    theirs = refused(MlflowException.invalid_parameter_value("No."))
    ours = refusal(400, "INVALID_PARAMETER_VALUE", "No.")
    assert ours.status == theirs.status
    assert json.loads(ours.body).items() <= json.loads(theirs.body).items()
    assert ours.media_type == theirs.media_type == "application/json"
