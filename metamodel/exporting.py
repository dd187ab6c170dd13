"""Hand one child out as an ordinary MLflow scikit-learn model, for those who want it alone."""

from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from metamodel.codecs import SkopsCodec
from metamodel.manifest import Manifest
from metamodel.model import MetaModel
from metamodel.tracking import requirements

__all__ = ["export_child"]

_TYPES = {"number": DataType.double, "boolean": DataType.boolean, "timestamp": DataType.datetime}
_LABELS = {"integer": DataType.long, "boolean": DataType.boolean, "string": DataType.string, "number": DataType.double}


def export_child(model: MetaModel, key: tuple[Any, ...], path: str | Path) -> None:
    """Write one child with `mlflow.sklearn.save_model`.

    With shrinkage it is the group's own part, which is not blended with its parents' predictions.

    Parameters
    ----------
    model
        The meta-model.
    key
        The group's key.
    path
        Directory to write.

    Raises
    ------
    InvalidKey, UnknownGroup, CorruptBundle
        As `MetaModel.child`.
    """
    child = model.child(key)
    skops = model.manifest.codec == "skops"
    mlflow.sklearn.save_model(
        child,
        str(path),
        signature=_signature(model.manifest),
        serialization_format="skops" if skops else "cloudpickle",
        skops_trusted_types=SkopsCodec().types_to_trust(child) if skops else None,
        pip_requirements=requirements(model.manifest),
        metadata={
            "metamodel": {
                "group": [str(value) for value in key],
                "bundle": model.bundle.digest,
                **_interval(model, key),
            }
        },
    )


def _interval(model: MetaModel, key: tuple[Any, ...]) -> dict[str, Any]:
    """Half the width of the group's intervals, which the estimator itself does not know; of blended ones, nothing."""
    radius = model.radius(key) if model.bundle.weights is None else None
    return {} if radius is None else {"interval": model.manifest.options["interval"], "interval_radius": radius}


def _signature(manifest: Manifest) -> ModelSignature:
    features: list[ColSpec | TensorSpec] = [
        ColSpec(_TYPES.get(feature.kind, DataType.string), feature.name) for feature in manifest.features.features
    ]
    label = _LABELS[manifest.target.label_kind or "number"]
    return ModelSignature(inputs=Schema(features), outputs=Schema([ColSpec(label)]))
