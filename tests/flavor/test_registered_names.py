"""Misspelt names and aliases of registered models."""

import pytest
from mlflow import MlflowClient

import metamodel
from metamodel.exceptions import InputError


@pytest.mark.parametrize(
    ("uri", "meant"), [("models:/store-sale@champion", "store-sales"), ("models:/store-sales@champoin", "champion")]
)
def test_what_may_be_meant_is_said(tracking_uri: str, uri: str, meant: str) -> None:
    client = MlflowClient()
    client.create_registered_model("store-sales")
    try:
        client.create_model_version("store-sales", "file:///nowhere")
        client.set_registered_model_alias("store-sales", "champion", "1")
        with pytest.raises(InputError, match=rf"Did you mean '{meant}'\?$"):
            metamodel.load_model(uri)
    finally:
        client.delete_registered_model("store-sales")
