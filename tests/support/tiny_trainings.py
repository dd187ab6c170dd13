"""Tiny trainings, and what a tracking server knows of them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

import metamodel


@contextlib.contextmanager
def no_active_experiment() -> Iterator[None]:
    """Undo what `mlflow.set_experiment` changes for the whole process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_EXPERIMENT_ID", "")
        patch.delenv("MLFLOW_EXPERIMENT_ID")
        patch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
        yield


def tiny(groups: int) -> pd.DataFrame:
    """Groups of three rows, each with a line of its own."""
    group = np.repeat(np.arange(groups), 3)
    x = np.tile([0.0, 1.0, 3.0], groups)
    return pd.DataFrame({"group": group, "x": x, "y": group + 2 * x})


def train_tiny(groups: int) -> metamodel.TrainingResult:
    """Train on so many of these groups."""
    return metamodel.train(tiny(groups), "group", "y", LinearRegression(), holdout=0, n_jobs=1 if groups < 100 else 2)


def runs_of(experiment: str) -> list[Any]:
    """The runs of an experiment."""
    found = mlflow.get_experiment_by_name(experiment)
    assert found is not None
    return MlflowClient().search_runs([found.experiment_id])


def registered_names(client: MlflowClient) -> set[str]:
    """Names of all registered models."""
    return {model.name for model in client.search_registered_models()}
