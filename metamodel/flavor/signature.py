"""The MLflow signature of a meta-model: what it declares, and why most columns are declared optional.

MLflow enforces a signature before the model sees a row, and it enforces by casting: a long column turns 7.5 into 7, a
string column None into NaN, and a required column that is missing is answered with a dump of the caller's rows. So
group columns (and features that are no floats) have the type Any, which passes values through unchanged, and every
column is optional: what is missing or wrong is found by us, with a message that holds no data
(docs/decisions/0002-signature.md). Tables are not enforced at all (`metamodel.flavor.enforcement`); the types say what
to send, and count for input of other kinds.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from metamodel.bundle.manifest import Manifest
from metamodel.prediction.answer_form import OTHER, VARIANT, PredictOptions
from metamodel.prediction.routing import Route, output_columns
from metamodel.tables.feature_columns import Feature

__all__ = ["child_signature", "input_example", "made_up_example", "number_columns", "signature"]

# A label can be null, and MLflow cannot put a null into a long or boolean field of a Spark struct.
_LABEL_TYPES = {
    "string": DataType.string,
    "integer": DataType.double,
    "boolean": DataType.string,
    "number": DataType.double,
}

# Of one child alone, whose label is never null.
_CHILD_TYPES = {"number": DataType.double, "boolean": DataType.boolean, "timestamp": DataType.datetime}

_CHILD_LABELS = {
    "integer": DataType.long,
    "boolean": DataType.boolean,
    "string": DataType.string,
    "number": DataType.double,
}

_OUTPUT_TYPES = {"status": "string", "key": "string", "level": "long", "child_version": "string", "error": "string"}

_OUTPUT_TYPES[VARIANT] = "string"


def signature(
    manifest: Manifest, route: Route, options: PredictOptions, entity_names: Sequence[str] = ()
) -> ModelSignature:
    """Declare inputs, outputs and params.

    Parameters
    ----------
    manifest, route
        The model.
    options
        What a call without params does: it decides the output columns and the params' defaults.
    entity_names
        Of a roll-out, columns that decide which model answers.
    """
    types = _input_types(manifest) | dict.fromkeys(entity_names, AnyType())
    columns: list[ColSpec | TensorSpec] = [ColSpec(type_, name, required=False) for name, type_ in types.items()]
    label = _LABEL_TYPES[manifest.target.label_kind or "number"]
    answered: dict[str, Any] = {"prediction": label, OTHER: label, **_OUTPUT_TYPES}
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(answered.get(name, "double"), name) for name in output_columns(route, options)
    ]
    params = [
        ParamSpec("detail", DataType.boolean, options.detail),
        ParamSpec("predict_method", DataType.string, options.predict_method),
        ParamSpec("unknown", DataType.string, options.unknown),
    ]
    return ModelSignature(
        inputs=Schema(columns),
        outputs=Schema(outputs),
        params=ParamSchema(params),
    )


def _input_types(manifest: Manifest) -> dict[str, Any]:
    types: dict[str, Any] = {name: AnyType() for name in manifest.keys.names}
    for feature in manifest.features.features:
        types.setdefault(feature.name, _input_type(feature))
    return types


def number_columns(manifest: Manifest) -> list[str]:
    """Names of the columns that the signature declares as numbers; MLflow lets nothing else pass there."""
    features = [feature for feature in manifest.features.features if feature.name not in manifest.keys.names]
    return [feature.name for feature in features if _input_type(feature) is DataType.double]


def _input_type(feature: Feature) -> Any:
    is_float = feature.kind == "number" and feature.dtype == "float64" and not feature.null_texts
    return DataType.double if is_float else AnyType()


def input_example(
    manifest: Manifest, data: pd.DataFrame, entity_names: Sequence[str] = (), rows: int = 3
) -> pd.DataFrame:
    """First rows of the training table that have a group, with the model's columns alone."""
    columns = list(dict.fromkeys([*manifest.keys.names, *manifest.features.names, *entity_names]))
    data = data.assign(**{name: None for name in entity_names if name not in data})
    with_group = data[manifest.keys.names].notna().all(axis=1).to_numpy()
    complete = data.iloc[with_group.nonzero()[0][:rows]][columns].reset_index(drop=True)
    odd = complete.select_dtypes(exclude=["number", "bool"]).columns
    complete = complete.assign(**{name: complete[name].astype(object).map(_for_json) for name in odd})
    return complete


def made_up_example(manifest: Manifest, data: pd.DataFrame, entity_names: Sequence[str] = ()) -> pd.DataFrame:
    """One row that a caller could send, with a group of the table and no other value of it."""
    names = manifest.keys.names
    keys = input_example(manifest, data, rows=1)[names]
    features = {feature.name: _made_up(feature) for feature in manifest.features.features if feature.name not in names}
    return keys.assign(**features, **dict.fromkeys(set(entity_names) - {*names, *features}))


def _made_up(feature: Feature) -> Any:
    if feature.kind == "number":
        return 0 if feature.is_whole else 0.0
    if feature.kind == "category":
        return feature.categories[0] if feature.categories else None
    return {"boolean": False, "timestamp": "2000-01-01T00:00:00"}.get(feature.kind, "text")


def _for_json(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def child_signature(manifest: Manifest) -> ModelSignature:
    """Declare the features and the answer of one child that is a model of its own."""
    features: list[ColSpec | TensorSpec] = [
        ColSpec(_CHILD_TYPES.get(feature.kind, DataType.string), feature.name) for feature in manifest.features.features
    ]
    label = _CHILD_LABELS[manifest.target.label_kind or "number"]
    return ModelSignature(inputs=Schema(features), outputs=Schema([ColSpec(label)]))
