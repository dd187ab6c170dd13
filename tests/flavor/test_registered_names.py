"""Misspelt names and aliases of registered models."""

import pytest
from mlflow import MlflowClient

import metamodel
from metamodel.exceptions import InputError


@pytest.mark.parametrize(
    ("uri", "meant"), [("models:/shop-revenu@champion", "shop-revenue"), ("models:/shop-revenue@champoin", "champion")]
)
def test_what_may_be_meant_is_said(tracking_uri: str, uri: str, meant: str) -> None:
    client = MlflowClient()
    client.create_registered_model("shop-revenue")
    try:
        client.create_model_version("shop-revenue", "file:///nowhere")
        client.set_registered_model_alias("shop-revenue", "champion", "1")
        with pytest.raises(InputError, match=rf"Did you mean '{meant}'\?$"):
            metamodel.load_model(uri)
    finally:
        client.delete_registered_model("shop-revenue")
