"""A child that others fitted on an array, referred to by its directory."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.tracking.references.reference_model import write_references

ROWS = pd.DataFrame({"store": [1, 1], "a": [1.0, 2.0], "b": [4.0, 5.0]})


def refer_to_array_child(directory: Path) -> metamodel.MetaModel:
    """A meta-model with one child in a directory, 100 b + a."""
    fitted = pd.DataFrame({"b": [1.0, 2.0, 4.0, 9.0], "a": [3.0, 1.0, 2.0, 5.0]})
    estimator = LinearRegression().fit(fitted.to_numpy(), 100 * fitted["b"] + fitted["a"])
    path, signature = directory / "model", infer_signature(fitted)
    mlflow.sklearn.save_model(estimator, str(path), signature=signature, pip_requirements=[])
    children = pd.DataFrame({"store": [1], "uri": [str(path)]})
    settings = ReferenceSettings(roots=(str(directory),))
    return metamodel.load_model(write_references(directory / "of_array", children, ROWS, "store", settings=settings))
