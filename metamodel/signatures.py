"""The MLflow signature of a meta-model: what it declares, and why most columns are declared optional.

MLflow enforces a signature before the model sees a row, and it enforces by casting: a long column turns 7.5 into 7, a
string column None into NaN, and a required column that is missing is answered with a dump of the caller's rows. So
group columns (and features that are no floats) have the type Any, which passes values through unchanged, and every
column is optional: what is missing or wrong is found by us, with a message that holds no data
(docs/decisions/0002-signature.md).
"""

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from metamodel.feature_columns import Feature
from metamodel.manifest import Manifest
from metamodel.routing import PredictOptions, Route, output_columns

__all__ = ["input_example", "number_columns", "signature"]

# A label can be null, and MLflow cannot put a null into a long or boolean field of a Spark struct.
_LABEL_TYPES = {
    "string": DataType.string,
    "integer": DataType.double,
    "boolean": DataType.string,
    "number": DataType.double,
}
_OUTPUT_TYPES = {"status": "string", "key": "string", "level": "long", "child_version": "string", "error": "string"}


def signature(manifest: Manifest, route: Route, options: PredictOptions) -> ModelSignature:
    """Declare inputs, outputs and params.

    Parameters
    ----------
    manifest, route
        The model.
    options
        What a call without params does: it decides the output columns and the params' defaults.
    """
    inputs: dict[str, Any] = {name: AnyType() for name in manifest.keys.names}
    for feature in manifest.features.features:
        inputs.setdefault(feature.name, _input_type(feature))
    label = _LABEL_TYPES[manifest.target.label_kind or "number"]
    types: dict[str, Any] = {"prediction": label, **_OUTPUT_TYPES}
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(types.get(name, "double"), name) for name in output_columns(route, options)
    ]
    params = [
        ParamSpec("detail", DataType.boolean, options.detail),
        ParamSpec("predict_method", DataType.string, options.predict_method),
        ParamSpec("unknown", DataType.string, options.unknown),
    ]
    columns: list[ColSpec | TensorSpec] = [ColSpec(type_, name, required=False) for name, type_ in inputs.items()]
    return ModelSignature(
        inputs=Schema(columns),
        outputs=Schema(outputs),
        params=ParamSchema(params),
    )


def number_columns(manifest: Manifest) -> list[str]:
    """Names of the columns that the signature declares as numbers; MLflow lets nothing else pass there."""
    features = [feature for feature in manifest.features.features if feature.name not in manifest.keys.names]
    return [feature.name for feature in features if _input_type(feature) is DataType.double]


def _input_type(feature: Feature) -> Any:
    return DataType.double if feature.kind == "number" and feature.dtype == "float64" else AnyType()


def input_example(manifest: Manifest, data: pd.DataFrame, rows: int = 3) -> pd.DataFrame:
    """First rows of the training table that have a group, with the model's columns alone."""
    columns = list(dict.fromkeys([*manifest.keys.names, *manifest.features.names]))
    complete = data.dropna(subset=manifest.keys.names)[columns].head(rows).reset_index(drop=True)
    odd = complete.select_dtypes(exclude=["number", "bool"]).columns
    return complete.assign(**{name: complete[name].astype(object).map(_for_json) for name in odd})


def _for_json(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, dt.date) else value
