"""A small table of sales by country and store, trained, and logged with each child as a model."""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

import metamodel


def sales_table() -> pd.DataFrame:
    """Two countries; one group has too few rows, and one a name with every sign that MLflow minds."""
    rng = np.random.default_rng(0)
    stores = [("FR", "a/b:c.d%\"e'"), ("FR", "é"), ("DE", "x"), ("DE", "short")]
    frame = pd.DataFrame([(c, s, *rng.normal(size=2)) for c, s in stores for _ in range(8)], columns=[*"ck", "u", "v"])
    frame = frame.rename(columns={"c": "country", "k": "store"}).assign(n=lambda table: table.index % 3)
    frame = frame.drop(index=frame.index[frame["store"] == "short"][1:])
    return frame.assign(y=frame["u"] * frame["store"].str.len() + frame["n"])


def logged_as_models(result: metamodel.TrainingResult, **options: Any) -> Any:
    with mlflow.start_run():
        return metamodel.log_model(result, log_children="models", report=False, **options)


def child_models(info: Any) -> list[Any]:
    run = mlflow.get_run(info.run_id)
    found = MlflowClient().search_logged_models([run.info.experiment_id], f"source_run_id = '{info.run_id}'")
    return [model for model in found if "metamodel.key" in model.tags]


def assert_same_answers(result: metamodel.TrainingResult, uri: str, rows: pd.DataFrame, **params: Any) -> None:
    params = {"detail": True, **params}
    before = metamodel.MetaModel(result.bundle_path).predict(rows, params)
    after = metamodel.load_model(uri).predict(rows, params)
    pd.testing.assert_frame_equal(
        after.drop(columns="child_version"), before.drop(columns="child_version"), rtol=1e-9, atol=1e-12
    )
