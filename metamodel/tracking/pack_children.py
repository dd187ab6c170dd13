"""Bring what a model refers to into its bundle, and a model into one file: then it is served without other servers."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.models.model import ModelInfo

from metamodel.bundle.group_values import GROUP_VALUES_DIR
from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import POOLED_DIR, SHARD_DIR, Bundle
from metamodel.bundle.references import PACKED_DIR, Reference, write_reference_table
from metamodel.bundle.rollout.rollout_model import refuse_rollout
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.common.byte_cache import ByteCache
from metamodel.common.group_status import WITH_CHILD
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, UnreadableBundle
from metamodel.flavor.environment import Environment, recorded_environment
from metamodel.flavor.load import load_model, open_bundle
from metamodel.flavor.pyfunc_args import pyfunc_parts, recorded_defaults
from metamodel.flavor.remote import MLMODEL, ElsewhereLoader, check_tracking_server
from metamodel.flavor.remote.child_files import files_of
from metamodel.flavor.remote.mlmodel import bundle_path
from metamodel.flavor.zip_file import pack_directory, unpack
from metamodel.tables.keys import decode_key, encode_keys
from metamodel.tracking import registry
from metamodel.tracking.log_bundle import log_bundle, without_advice

__all__ = ["pack", "pack_children", "recorded_example", "serve_check", "write_zip"]

# SQLite keeps no larger value.
_LARGEST_ARCHIVE = 10**9


@dataclass(frozen=True)
class _PackedChild:
    key: str
    reference: Reference
    version: str
    archive: bytes  # empty where another child has brought it


class _Archives:
    """Archives of places. Each is made once, and handed to who asked first; a place may hold many groups' children."""

    def __init__(self, places: int) -> None:
        self._digests = ByteCache(limit=places)

    def of(self, place: str, make: Callable[[], bytes]) -> tuple[str, bytes]:
        """Return an archive's digest, and its bytes or nothing."""
        made = [b""]

        def digest() -> tuple[str, int]:
            made[0] = make()
            return hashlib.sha256(made[0]).hexdigest(), 1

        return self._digests.get(place, digest), made[0]


def pack(model: str, *, zip_file: str = "", register: str = "", alias: str = "") -> dict[str, Any]:
    """Pack a model's children, and log it as a new version or write it into one file: the command of that name.

    Parameters
    ----------
    model
        MLflow URI, or a path.
    zip_file
        File to write; "" for none.
    register, alias
        As for `metamodel.log_model`; "" for none. Without `zip_file` the model is logged in any case.

    Returns
    -------
    dict
        What was written, logged and registered.
    """
    if zip_file and Path(zip_file).exists():
        raise InputError(f"{zip_file} exists already. Name a file that does not.")
    if zip_file and not Path(zip_file).absolute().parent.is_dir():
        raise InputError(f"{Path(zip_file).absolute().parent} is no directory. Make it, or name a file elsewhere.")
    registry.check_names(register or None, alias or None)
    if register or not zip_file:
        check_tracking_server()
    opened = load_model(model)
    with temporary_directory("pack") as directory:
        path = opened.path
        example, environment = recorded_example(opened), recorded_environment(opened)
        if opened.bundle.references is not None:
            refuse_rollout(opened, "given its children")
            path = pack_children(opened, directory / "bundle")
        packed = open_bundle(path, defaults=recorded_defaults(opened))
        facts: dict[str, Any] = {"model": redacted(model), "groups": opened.manifest.counts["fitted"]}
        if zip_file:
            write_zip(packed, Path(zip_file), example, environment)
            facts["zip"] = zip_file
        if register or not zip_file:
            info: ModelInfo = log_bundle(
                packed, example, "model", register or None, alias or None, environment=environment
            )
            facts |= {"model_uri": info.model_uri, "registered_model": register or None}
            facts["version"] = info.registered_model_version if register else None
    return facts


def pack_children(model: MetaModel, path: Path) -> Path:
    """Write a bundle that holds what a model refers to; endpoints stay what they are.

    Parameters
    ----------
    model
        A model with references.
    path
        Directory to write.

    Returns
    -------
    Path
        The bundle. Every child's files are there byte for byte, with their digest in the ledger.

    Raises
    ------
    ChildUnavailable
        A child cannot be fetched; nothing was written.
    InputError
        The model refers to nothing, or a child is too large.
    """
    bundle = model.bundle
    if bundle.references is None:
        raise InputError(f"{bundle.path} refers to no child elsewhere, so there is nothing to bring into it.")
    references = dict(bundle.references.items())
    loader = ElsewhereLoader(str(bundle.path.absolute()))
    versions: dict[str, str] = {}
    with new_bundle(path) as (directory, _):
        (directory / PACKED_DIR).mkdir()
        seen: set[str] = set()
        with ShardWriter(directory / PACKED_DIR / "00000.sqlite") as shard:
            for child in _fetched(references, loader):
                versions[child.key] = child.version
                references[child.key] = child.reference
                if child.archive and child.reference.packed not in seen:  # one archive may lie in two places
                    seen.add(child.reference.packed)
                    shard.add(ShardRow.of_child(child.reference.packed, 0, "", child.archive, 0))
        write_reference_table(
            directory, ((key, len(decode_key(key)), reference) for key, reference in references.items())
        )
        _carry(bundle, directory)
        ledger = bundle.ledger
        keys = encode_keys(keys_of(ledger, model.manifest.keys))
        digests = [versions.get(key, "") for key in keys]
        ledger = ledger.assign(sha256=digests)
        ledger.loc[np.array([key in versions for key in keys]), "shard"] = f"{PACKED_DIR}/00000.sqlite"
        finish_bundle(directory, replace(model.manifest, files={}), ledger)
    return path


def _carry(bundle: Bundle, directory: Path) -> None:
    """Copy what stays as it is: values of groups, why groups have no child, and the pooled model."""
    folders = tuple(f"{folder}/" for folder in (GROUP_VALUES_DIR, SHARD_DIR, POOLED_DIR))
    for name in (name for name in bundle.manifest.files if name.startswith(folders)):
        (directory / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(bundle.path / name, directory / name)


def _fetched(references: dict[str, Reference], loader: ElsewhereLoader) -> Iterator[_PackedChild]:
    threads = loader.settings.concurrency
    wanted = [(key, reference) for key, reference in references.items() if reference.kind != "endpoint"]
    archives = _Archives(len(wanted))
    with ThreadPoolExecutor(threads) as executor:
        for start in range(0, len(wanted), 4 * threads):  # not all archives in memory at once
            part = wanted[start : start + 4 * threads]
            yield from executor.map(lambda entry: _packed_child(entry[0], entry[1], loader, archives), part)


def _packed_child(key: str, reference: Reference, loader: ElsewhereLoader, archives: _Archives) -> _PackedChild:
    place = loader.resolve(reference, key)
    (_, version), _ = loader.load(reference, key, place)  # what cannot be loaded here is not worth packing

    def make() -> bytes:
        with loader.files(reference, key, place) as directory:
            packed = _archive(directory)
        if len(packed) > _LARGEST_ARCHIVE:
            raise InputError(f"The child of group {key} has {len(packed):,} bytes, too many for a bundle. Refer to it.")
        return packed

    digest, packed = archives.of(place, make)
    return _PackedChild(key, replace(reference, place=place, packed=digest), version, packed)


def _archive(directory: Path) -> bytes:
    """Put the files that a child needs into one archive: the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for path in _needed(directory):
            packed.writestr(zipfile.ZipInfo(path.relative_to(directory).as_posix()), path.read_bytes())
    return buffer.getvalue()


def _needed(directory: Path) -> list[Path]:
    model = Model.load(str(directory))
    bundle = bundle_path(model)
    files, folders = ([MLMODEL], [bundle]) if bundle is not None else files_of(model)
    found = {directory / name for name in files}
    found |= {path for folder in folders for path in (directory / folder).rglob("*") if path.is_file()}
    return sorted(found)


def recorded_example(model: MetaModel) -> pd.DataFrame | None:
    """Input example of the logged model that a bundle lies in; None for a bare bundle."""
    for directory in list(model.path.parents)[:2]:
        if (directory / MLMODEL).is_file():
            example = Model.load(str(directory)).load_input_example(str(directory))
            return example if isinstance(example, pd.DataFrame) else None
    return None


def write_zip(
    model: MetaModel,
    target: Path,
    example: pd.DataFrame | None = None,
    environment: Environment | None = None,
) -> None:
    """Write a bundle as an MLflow model in one file, with the code that serves it.

    Parameters
    ----------
    model
        The bundle; what a call without params answers is recorded.
    target
        File to write; it appears when it is complete.
    example
        Rows to show as the input example.
    environment
        The code and packages that go with the model; by default those that it was logged with.
    """
    environment = environment or recorded_environment(model)
    with temporary_directory("zip") as directory:
        saved = directory / "model"
        with without_advice(), pyfunc_parts(model, example, environment) as parts:
            mlflow.pyfunc.save_model(str(saved), **parts)
        pack_directory(saved, target)


def serve_check(file: str) -> dict[str, Any]:
    """Open a packed model as a server would, without any tracking server, and load every child of it.

    Parameters
    ----------
    file
        What `write_zip` wrote.

    Returns
    -------
    dict
        How many children can be loaded, and which are asked over the network.

    Raises
    ------
    InputError
        The file is no packed model.
    UnreadableBundle
        A file is damaged, or a child cannot be loaded here.
    """
    with temporary_directory("zip") as directory:
        unpack(file, directory)
        model = load_model(directory)
        if damaged := model.bundle.damaged_files():
            raise UnreadableBundle(f"{file} holds damaged files: {', '.join(damaged)}. Make it again.")
        references = {} if model.bundle.references is None else dict(model.bundle.references.items())
        far = [redacted(reference.uri) for reference in references.values() if not reference.packed]
        keys = encode_keys(keys_of(model.ledger, model.manifest.keys))
        fitted = model.ledger["status"].isin(WITH_CHILD)
        here = [key for key, there in zip(keys, fitted, strict=True) if there and _is_here(references.get(key))]
        for key in here:
            model.bundle.load(decode_key(key), keep=False)
        return {"file": file, "children": len(here), "elsewhere": sorted(far)}


def _is_here(reference: Reference | None) -> bool:
    return reference is None or bool(reference.packed)
