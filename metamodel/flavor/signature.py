"""The MLflow signature of a meta-model: what it declares, and why most columns are declared optional.

MLflow enforces a signature before the model sees a row, and it enforces by casting: a long column turns 7.5 into 7, a
string column None into NaN, and a required column that is missing is answered with a dump of the caller's rows. So
group columns (and features that are no floats) have the type Any, which passes values through unchanged, and every
column is optional: what is missing or wrong is found by us, with a message that holds no data
(docs/decisions/0002-signature.md).
"""

import datetime as dt
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from metamodel.bundle.manifest import Manifest
from metamodel.common.choices import InputForm
from metamodel.common.messages import listing
from metamodel.common.validation import one_of
from metamodel.exceptions import InputError
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.routing import Route, output_columns
from metamodel.tables.feature_columns import Feature

__all__ = ["PACKED", "child_signature", "input_example", "number_columns", "signature", "unpacked"]

# The one column that holds all features of a row, in order, in the form "packed".
PACKED = "features"

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


def signature(
    manifest: Manifest, route: Route, options: PredictOptions, inputs: InputForm = "columns"
) -> ModelSignature:
    """Declare inputs, outputs and params.

    Parameters
    ----------
    manifest, route
        The model.
    options
        What a call without params does: it decides the output columns and the params' defaults.
    inputs
        "columns": MLflow checks float64 features. "unchecked": MLflow passes every column through, and we check once.
        "packed": all features of a row are one list in the column `features`. docs/serving.md has what each costs.

    Raises
    ------
    InputError
        The form is unknown, or "packed" cannot be had for the model's columns.
    """
    types = _input_types(manifest, inputs)
    columns: list[ColSpec | TensorSpec] = [ColSpec(type_, name, required=False) for name, type_ in types.items()]
    label = _LABEL_TYPES[manifest.target.label_kind or "number"]
    answered: dict[str, Any] = {"prediction": label, **_OUTPUT_TYPES}
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


def _input_types(manifest: Manifest, inputs: InputForm) -> dict[str, Any]:
    one_of("inputs", inputs, get_args(InputForm))
    types: dict[str, Any] = {name: AnyType() for name in manifest.keys.names}
    if inputs != "packed":
        for feature in manifest.features.features:
            types.setdefault(feature.name, _input_type(feature) if inputs == "columns" else AnyType())
        return types
    names = [*manifest.keys.names, *manifest.features.names]
    if PACKED in names or len(set(names)) < len(names):
        raise InputError(
            f"inputs='packed' puts all features into one column {PACKED!r} beside the group columns, but a column of "
            "the model has that name, or is both. Rename it, or use inputs='unchecked'."
        )
    return {**types, PACKED: AnyType()}


def unpacked(frame: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Spread the column `features` of a model that was logged with ``inputs="packed"``; other tables stay as they are.

    Raises
    ------
    InputError
        A row's features are no list, or another number than the model has.
    """
    names = manifest.features.names
    if PACKED not in frame.columns or PACKED in (*manifest.keys.names, *names):
        return frame
    rows = frame[PACKED].tolist()
    if not all(isinstance(row, list | tuple | np.ndarray) and len(row) == len(names) for row in rows):
        raise InputError(
            f"Column {PACKED!r} holds a row that is no list of {len(names)} values. "
            f"Give the features of each row in this order: {listing(names, 20)}."
        )
    features = pd.DataFrame([list(row) for row in rows], columns=names, index=frame.index)
    return pd.concat([frame.drop(columns=PACKED), features], axis=1)


def number_columns(manifest: Manifest) -> list[str]:
    """Names of the columns that the signature declares as numbers; MLflow lets nothing else pass there."""
    features = [feature for feature in manifest.features.features if feature.name not in manifest.keys.names]
    return [feature.name for feature in features if _input_type(feature) is DataType.double]


def _input_type(feature: Feature) -> Any:
    is_float = feature.kind == "number" and feature.dtype == "float64" and not feature.null_texts
    return DataType.double if is_float else AnyType()


def input_example(manifest: Manifest, data: pd.DataFrame, rows: int = 3, inputs: InputForm = "columns") -> pd.DataFrame:
    """First rows of the training table that have a group, with the model's columns alone, in the form of a request."""
    columns = list(dict.fromkeys([*manifest.keys.names, *manifest.features.names]))
    with_group = data[manifest.keys.names].notna().all(axis=1).to_numpy()
    complete = data.iloc[with_group.nonzero()[0][:rows]][columns].reset_index(drop=True)
    odd = complete.select_dtypes(exclude=["number", "bool"]).columns
    complete = complete.assign(**{name: complete[name].astype(object).map(_for_json) for name in odd})
    if inputs != "packed":
        return complete
    features = complete[manifest.features.names].astype(object).to_numpy().tolist()
    return complete[manifest.keys.names].assign(**{PACKED: features})


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
