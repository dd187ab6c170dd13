"""Hand one child out as an ordinary MLflow scikit-learn model, for those who want it alone."""

from pathlib import Path
from typing import Any

import mlflow

from metamodel.bundle.codecs import SkopsCodec
from metamodel.bundle.model import MetaModel
from metamodel.common.failures import storage_failures
from metamodel.common.whole_files import whole_directory
from metamodel.flavor.requirements import requirements
from metamodel.flavor.signature import child_signature

__all__ = ["export_child"]


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
    StorageFailed
        The disk is full, or fails; nothing is left at `path`.
    """
    child = model.child(key)
    with storage_failures(), whole_directory(Path(path)) as unfinished:
        _save(model, key, child, unfinished)


def _save(model: MetaModel, key: tuple[Any, ...], child: Any, directory: Path) -> None:
    skops = model.manifest.codec == "skops"
    mlflow.sklearn.save_model(
        child,
        str(directory),
        signature=child_signature(model.manifest),
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
