"""The model registry: what is said of a version, and which one is the champion."""

from collections.abc import Mapping

from mlflow import MlflowClient

__all__ = ["describe_version"]


def describe_version(name: str, version: str, tags: Mapping[str, str], alias: str | None) -> None:
    """Tag a version and, last of all, point the alias at it: who loads by alias never sees half a description."""
    client = MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    if alias:
        client.set_registered_model_alias(name, alias, version)
