"""Make a meta-model of children that are registered, or served, already: it holds references instead of copies."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models.model import ModelInfo

from metamodel.bundle.ledger import column_names
from metamodel.bundle.ledger_queries import with_keys
from metamodel.bundle.manifest import Manifest, Target
from metamodel.bundle.references import ReferenceSettings, write_reference_table
from metamodel.bundle.writer import finish_bundle, library_versions, new_bundle
from metamodel.common.messages import short
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.uris import is_local
from metamodel.common.validation import one_of
from metamodel.exceptions import InputError
from metamodel.flavor.load import open_bundle
from metamodel.flavor.remote import check_tracking_server
from metamodel.tables import files as tables
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import KeySchema, encode_key
from metamodel.tracking import registry
from metamodel.tracking.log_bundle import log_bundle
from metamodel.tracking.references.check_children import CheckedChild, check_children
from metamodel.tracking.references.child_table import from_registry, from_template, read_uris

__all__ = ["reference", "reference_files", "write_references"]

_VERSIONED = ("mlflow", "scikit-learn", "pandas", "numpy")

_LABEL_KINDS: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def reference(
    children: pd.DataFrame | str,
    example: pd.DataFrame,
    group_by: str | Sequence[str],
    target: str = "prediction",
    *,
    name: str = "model",
    registered_model_name: str | None = None,
    alias: str | None = None,
    detail: bool = False,
    **options: Any,
) -> ModelInfo:
    """Log, and register, a meta-model whose children stay where they are.

    Every child is looked at before anything is logged: it must exist, its flavor must be installed, and its signature
    must have every feature. Aliases are followed each time the model is loaded, so that a promoted child is picked up.

    Parameters
    ----------
    children, example, group_by, target, options
        As for `write_references`.
    name, registered_model_name, alias, detail
        As for `metamodel.log_model`.

    Returns
    -------
    mlflow.models.model.ModelInfo

    Raises
    ------
    InputError
        Something is wrong with the table or its children; the message names all of them, and nothing was logged.
    TrackingServerUnavailable
        The tracking server is not there; no child was looked at.

    Examples
    --------
    >>> metamodel.reference(                                            # doctest: +SKIP
    ...     "models:/sales-{country}-{store}@champion", frame, ["country", "store"], "sales", keys=frame,
    ...     registered_model_name="sales", alias="champion")
    """
    registry.check_names(registered_model_name, alias, name)
    check_tracking_server()
    with temporary_directory("reference") as directory:
        path = write_references(directory / "bundle", children, example, group_by, target, **options)
        model = open_bundle(path, defaults={"detail": detail})
        return log_bundle(model, example, name, registered_model_name, alias)


def write_references(  # noqa: PLR0913 - what training reads off the table must be said here
    path: str | Path,
    children: pd.DataFrame | str,
    example: pd.DataFrame,
    group_by: str | Sequence[str],
    target: str = "prediction",
    *,
    keys: pd.DataFrame | None = None,
    features: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    unknown: str = "null",
    pin: bool = False,
    settings: ReferenceSettings | None = None,
) -> Path:
    """Write a bundle that refers to children, after a look at every one of them.

    Parameters
    ----------
    path
        Directory to write.
    children
        A table with the group columns and `uri`; or a template such as ``models:/sales-{country}-{store}@champion``,
        to be filled with `keys`. A URI names an MLflow model (``models:/``, ``runs:/``, a directory, an object store),
        another meta-model (of which the child of the same group is taken), or an endpoint (``https://…/invocations``).
        A row whose last group columns are null is a parent.
    example
        Some rows as callers will send them: they say which kinds the group columns and features are of.
    group_by
        Group columns.
    target
        Name of what is predicted.
    keys
        Table with the group columns, for a template.
    features
        Feature columns; default: every column of the example that is no group column and not the target.
    classes
        For classifiers: every class that a child may answer. Without them the children do regression.
    unknown
        As for `metamodel.train`.
    pin
        Follow no alias: record the versions of now.
    settings
        Refreshing, rate, deadline, and what URIs may point to.

    Returns
    -------
    Path
        The bundle.

    Raises
    ------
    InputError
        One report of all that is wrong; nothing was written.
    """
    one_of("unknown", unknown, ("null", "error", "fallback"))
    group_by = [group_by] if isinstance(group_by, str) else list(group_by)
    settings = settings or ReferenceSettings()
    settings = replace(settings, roots=tuple(str(Path(root).absolute()) for root in settings.roots))
    schema = KeySchema.infer(example, group_by)
    given = [column for column in example.columns if column not in (*group_by, target)]
    shape = FeatureSchema.infer(example, list(features or given))
    table = children if isinstance(children, pd.DataFrame) else from_template(children, keys, schema)
    uris = {key: _absolute(uri) for key, uri in read_uris(table, schema).items()}
    checked = check_children(uris, schema, shape, settings, pin=pin)
    manifest = _manifest(checked, schema, shape, _target(target, classes), unknown, settings)
    _write(Path(path), manifest, checked)
    return Path(path)


def reference_files(
    *,
    children: str,
    search: str,
    follow: str,
    example: str,
    group_by: Sequence[str],
    register: str,
    alias: str,
    features: Sequence[str],
    **options: Any,
) -> dict[str, Any]:
    """Do what `reference` does with files: the command of that name.

    Parameters
    ----------
    children
        A file with the group columns and `uri`, or a template.
    search, follow
        Instead: as for `from_registry`.
    example
        A file.
    group_by, register, alias, features, options
        As for `reference`.

    Returns
    -------
    dict
        What was logged and registered.
    """
    if bool(children) == bool(search):
        raise InputError("Say where the children are: give either --children or --search.")
    rows = tables.read_table(example, group_by)
    table: pd.DataFrame | str = children
    if search:
        table = from_registry(search, group_by, follow or None)
    elif "{" not in children:
        texts = [column.name for column in KeySchema.infer(rows, group_by).columns if column.kind == "string"]
        table = tables.read_table(children, group_by, texts)
    info = reference(
        table,
        rows,
        group_by,
        keys=rows,
        features=features or None,
        registered_model_name=register or None,
        alias=alias or None,
        **options,
    )
    facts = {"run_id": info.run_id, "model_uri": info.model_uri, "registered_model": register or None}
    return {**facts, "version": info.registered_model_version if register else None, "alias": alias or None}


def _absolute(uri: str) -> str:
    """Complete a path: who loads the model may stand in another directory."""
    return str(Path(uri).absolute()) if is_local(uri) and not uri.lower().startswith("file:") else uri


def _target(name: str, classes: Sequence[Any] | None) -> Target:
    if classes is None:
        return Target(name, "regression")
    labels = sorted(label.item() if isinstance(label, np.generic) else label for label in classes)
    kind = _LABEL_KINDS.get(type(labels[0])) if labels else None
    if kind is None:
        raise InputError(
            f"classes={short(list(classes))} are no labels. Give strings, numbers or booleans of one kind."
        )
    return Target(name, "classification", kind, tuple(labels))


def _manifest(
    checked: Sequence[CheckedChild],
    keys: KeySchema,
    features: FeatureSchema,
    target: Target,
    unknown: str,
    settings: ReferenceSettings,
) -> Manifest:
    depth = len(keys.columns)
    packages = sorted({package for child in checked for package in child.packages})
    candidates = {"references": {"estimator": "reference", "params": "{}", "packages": packages}}
    size = sum(child.size for child in checked)
    return Manifest(
        keys=keys,
        features=features,
        target=target,
        unknown=unknown,
        levels=tuple(sorted({len(child.key) for child in checked} - {depth}, reverse=True)),
        codec="cloudpickle",
        spec_digest="",
        options={"group_by": keys.names, "target": target.name, "candidates": candidates},
        counts={
            "fitted": len(checked),
            **dict.fromkeys(("carried", "skipped", "failed", "rows"), 0),
            "resident_bytes": 2 * size,
        },
        versions=library_versions(_VERSIONED),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        references=settings.to_dict(),
    )


def _write(path: Path, manifest: Manifest, checked: Sequence[CheckedChild]) -> None:
    with new_bundle(path) as (directory, _):
        rows = [(encode_key(child.key), len(child.key), child.reference) for child in checked]
        write_reference_table(directory, sorted(rows, key=lambda row: row[0]))
        finish_bundle(directory, manifest, _ledger(manifest, checked))


def _ledger(manifest: Manifest, checked: Sequence[CheckedChild]) -> pd.DataFrame:
    """One row for every reference, with the columns that every ledger has, and `uri`."""
    plain = {"status": "referenced", "reason": "", "error": "", "rows": 0, "seconds": 0.0, "params": "{}"}
    plain |= {"fingerprint": "", "shard": "references/00000.sqlite", "sha256": "", "warnings": "", "stack": "no child"}
    rows = [
        {**plain, "level": len(child.key), "estimator": child.flavor, "bytes": child.size, "uri": child.reference.uri}
        for child in checked
    ]
    ledger = with_keys(pd.DataFrame(rows), [child.key for child in checked], manifest.keys)
    columns = [*manifest.keys.names, *column_names(manifest.target.task, "refer")]
    return ledger.reindex(columns=columns)  # what only training knows stays empty
