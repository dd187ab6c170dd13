"""Make a child out of the files of a logged model."""

import hashlib
import math
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import Model

from metamodel.bundle.reader import Bundle
from metamodel.bundle.references import Reference
from metamodel.common.temp_dirs import plainly_named
from metamodel.exceptions import ChildUnavailable, CorruptBundle
from metamodel.flavor.remote.adapters import BlendedChild, EstimatorChild, PyfuncChild
from metamodel.flavor.remote.mlmodel import MLMODEL, bundle_of, inside
from metamodel.prediction.blending import weight_columns
from metamodel.tables.keys import GroupKey, KeySchema, decode_key

__all__ = ["RESIDENT_BASE", "files_of", "group_columns", "load_child"]

# What a loaded child takes beside its files (docs/bundle.md).
_RESIDENT_FACTOR, RESIDENT_BASE = 2, 4096


def files_of(model: Model) -> tuple[list[str], list[str]]:
    """Files and folders that loading a model takes; the folder "" is all of it.

    Of a scikit-learn model the pickle is enough, where others are loaded by code that may read any file.

    Raises
    ------
    UnreadableBundle
        A file is not inside the model.
    """
    flavor = model.flavors.get("sklearn")
    if flavor is None:
        return [], [""]
    return [MLMODEL, inside(flavor["pickled_model"])], [inside(flavor["code"])] if flavor.get("code") else []


def load_child(reference: Reference, key: str, directory: Path, keys: KeySchema) -> tuple[tuple[Any, str], int]:
    """Return ((child, version), bytes of memory).

    Parameters
    ----------
    reference
        What was asked for.
    key
        The group's encoded key.
    directory
        The files.
    keys
        The group columns.
    """
    if reference.kind == "bundle":
        bundle = Bundle(bundle_of(directory))
        if (theirs := group_columns(bundle.manifest.keys)) != group_columns(keys):  # promoted since it was checked
            raise ChildUnavailable(f"that meta-model's group columns are {theirs}, not {group_columns(keys)}")
        (child, version), resident = bundle.read(decode_key(key))
        estimator_child = EstimatorChild(child, bundle.manifest.features)
        return (_blended(bundle, decode_key(key), estimator_child), version), resident
    model = Model.load(str(directory))
    flavors = model.flavors
    version, size = _digest(directory)
    if reference.sha256:
        version = _intact(directory / inside(flavors["sklearn"]["pickled_model"]), reference.sha256)
    with plainly_named(directory) as named:  # or it may load FRA for FR%41
        path = str(named)
        if "sklearn" in flavors:
            child = EstimatorChild(mlflow.sklearn.load_model(path), signature=_input_names(model))
        else:
            child = PyfuncChild(mlflow.pyfunc.load_model(path), model.get_input_schema())
    return (child, version), _RESIDENT_FACTOR * size + RESIDENT_BASE


def group_columns(keys: KeySchema) -> str:
    """Name the group columns with their kinds; where another model's differ, its keys mean other groups.

    Examples
    --------
    >>> from metamodel.tables.keys import KeyColumn
    >>> group_columns(KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer"))))
    'country (string), store (integer)'
    """
    return ", ".join(f"{column.name} ({column.kind}{', UTC' if column.utc else ''})" for column in keys.columns)


def _input_names(model: Model) -> list[str] | None:
    inputs = None if model.signature is None else model.signature.inputs
    return inputs.input_names() if inputs is not None and inputs.has_input_names() else None


def _intact(path: Path, sha256: str) -> str:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise CorruptBundle("its bytes are not those that were logged")
    return sha256


def _blended(bundle: Bundle, key: GroupKey, own: EstimatorChild) -> EstimatorChild | BlendedChild:
    """Let a child answer as its own meta-model does, which may blend it with its parents."""
    if bundle.weights is None:
        return own
    *shares, weight = bundle.weights.of([key], weight_columns(len(key))).tolist()[0]
    asked = [level for level, share in enumerate(shares) if share and not math.isnan(share)]
    # The parents of many children are few, so they are kept in the cache as children of their own.
    parents = [
        (EstimatorChild(bundle.load(key[:level])[0], bundle.manifest.features), shares[level]) for level in asked
    ]
    return BlendedChild((own, weight), parents)


def _digest(directory: Path) -> tuple[str, int]:
    """Digest of the files that a child is made of, in the order of their names, and their size."""
    model = Model.load(str(directory))
    files, folders = files_of(model)
    paths = {directory / name for name in files}
    paths |= {path for folder in folders for path in (directory / folder).rglob("*") if path.is_file()}
    digest, size = hashlib.sha256(), 0
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
        size += len(content)
    return digest.hexdigest(), size
