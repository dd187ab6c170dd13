"""Get referenced children: resolve the reference, bring the files to disk politely, load what is there."""

import hashlib
import io
import math
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from metamodel.addresses import is_local, local_path
from metamodel.bundle import Bundle
from metamodel.cache import ByteCache
from metamodel.disk_cache import process_disk_cache
from metamodel.exceptions import ChildUnavailable, MetaModelError, UnknownGroup
from metamodel.fetching.adapters import BlendedChild, EstimatorChild, PyfuncChild
from metamodel.fetching.endpoints import EndpointChild
from metamodel.fetching.logged import bundle_of, inside, one_line
from metamodel.fetching.politeness import Courtesy, courtesy_for, server_of
from metamodel.keys import GroupKey, decode_key
from metamodel.manifest import MANIFEST_NAME, FileEntry, Manifest
from metamodel.references import Reference, ReferenceSettings
from metamodel.shards import ShardReader
from metamodel.shrinkage import weight_columns
from metamodel.turns import first_delay

__all__ = ["ElsewhereLoader", "courtesy_of", "fetch_description", "files_of", "resolve_place"]

# What a loaded child takes beside its files (docs/bundle.md).
_RESIDENT_FACTOR, _RESIDENT_BASE = 2, 4096
_MLMODEL = "MLmodel"


@dataclass(frozen=True)
class ElsewhereLoader:
    """Loads the children that a bundle refers to; travels to other processes as the bundle's path.

    Parameters
    ----------
    bundle
        The referring bundle's directory.
    """

    bundle: str

    @cached_property
    def _manifest(self) -> Manifest:
        path = Path(self.bundle) / MANIFEST_NAME
        return Manifest.from_json(path.read_text(encoding="utf-8"), str(path))

    @cached_property
    def settings(self) -> ReferenceSettings:
        """What is common to all references."""
        return ReferenceSettings.from_dict(self._manifest.references or {})

    @cached_property
    def _archives(self) -> list[ShardReader]:
        files: dict[str, FileEntry] = self._manifest.files
        return [
            ShardReader(Path(self.bundle) / name, entry.size)
            for name, entry in sorted(files.items())
            if name.startswith("vendored/")
        ]

    def resolve(self, reference: Reference, key: str) -> str:
        """Say where a child is now.

        Raises
        ------
        ChildUnavailable
            There is no such child, or nobody can tell.
        """
        if reference.vendored:
            return f"vendored:{reference.vendored}"
        if reference.kind == "endpoint":
            return reference.uri
        if reference.place:
            return reference.place
        with _explained(reference, key):
            return _resolved_again(reference.uri, key, self.settings, courtesy_of(reference.uri, self.settings))

    def load(self, reference: Reference, key: str, place: str) -> tuple[tuple[Any, str], int]:
        """Load a child from its place.

        Raises
        ------
        ChildUnavailable
            It cannot be fetched, or what is there cannot be loaded.
        UnknownGroup
            The other meta-model has no child for this group.
        """
        with _explained(reference, key):
            if reference.kind == "endpoint":
                child = EndpointChild(place, self.settings)
                return (child, hashlib.sha256(place.encode()).hexdigest()), _RESIDENT_BASE
            with self.files(reference, key, place) as directory:
                return _loaded(reference, key, directory)

    @contextmanager
    def files(self, reference: Reference, key: str, place: str) -> Iterator[Path]:
        """Hold a directory with the files of a child."""
        disk = process_disk_cache
        if reference.vendored:
            with disk().entry(place, lambda directory: self._unpack(reference.vendored, directory)) as directory:
                yield directory
            return
        if objection := self.settings.objection_behind(reference.uri, place):
            raise ChildUnavailable(f"{place} may not be used: {objection}")
        if is_local(place):
            yield local_path(place)
        else:
            name = f"{mlflow.get_tracking_uri()} {reference.kind} {place}"
            courtesy = courtesy_of(place, self.settings)
            with disk().entry(name, lambda directory: _download(courtesy, key, place, directory)) as directory:
                yield directory

    def _unpack(self, name: str, directory: Path) -> None:
        for archives in self._archives:
            row = archives.read(name)
            if row is not None and row.child is not None:
                with zipfile.ZipFile(io.BytesIO(row.child)) as archive:
                    if sum(entry.file_size for entry in archive.infolist()) > len(row.child):
                        raise ChildUnavailable(
                            f"the archive {name} grows when it is unpacked; pack does not write such"
                        )
                    archive.extractall(directory)
                return
        raise ChildUnavailable(f"the bundle lacks the archive {name}; restore it")


def courtesy_of(place: str, settings: ReferenceSettings) -> Courtesy:
    """How the server of a place is called: each at the rate, and a web store without following it elsewhere."""
    redirects = not place.startswith(("http:", "https:"))
    return courtesy_for(server_of(place), settings.requests_per_second, settings.patience_seconds, redirects=redirects)


@contextmanager
def _explained(reference: Reference, key: str) -> Iterator[None]:
    try:
        yield
    except UnknownGroup:
        raise
    except Exception as error:  # a store's client, or an unpickled child's code, raises whatever it likes
        reason = str(error).rstrip(".") if isinstance(error, MetaModelError) else one_line(error)
        raise ChildUnavailable(
            f"The child of group {key} at {reference.uri} cannot be loaded ({reason}). "
            "Check that it exists and that the server can be reached."
        ) from error


def resolve_place(uri: str) -> str:
    """Say where the files of a model are now; up to two requests for ``models:/`` and ``runs:/``, none for others."""
    if ModelsArtifactRepository.is_models_uri(uri):
        return str(ModelsArtifactRepository.get_underlying_uri(uri))
    if RunsArtifactRepository.is_runs_uri(uri):
        return str(RunsArtifactRepository.get_underlying_uri(uri))
    return uri


# One request at a time for each URI; the value of an epoch is asked for once.
_resolved = ByteCache(limit=1_000_000)
_last_known: dict[tuple[str, str], str] = {}


def _resolved_again(uri: str, key: str, settings: ReferenceSettings, courtesy: Courtesy) -> str:
    here = (mlflow.get_tracking_uri(), uri)
    every = settings.refresh_seconds
    # Each URI has its own moment, so that they are not all asked for again at once.
    epoch = 0 if every is None else int((time.monotonic() + first_delay(uri, every)) // every)

    def ask() -> tuple[str, int]:
        known = _last_known.get(here)
        try:
            place = (courtesy if known is None else courtesy.brief()).call(key, lambda: resolve_place(uri))
        except Exception:
            if known is None:
                raise
            place = known  # better yesterday's champion than none, until the next refresh
        _last_known[here] = place
        return place, 1

    return str(_resolved.get((*here, epoch), ask))


def fetch_description(courtesy: Courtesy, key: str, place: str, directory: Path) -> Model:
    """Fetch the file MLmodel of a model, and read it."""
    repository = get_artifact_repository(place)
    courtesy.call(key, lambda: repository._download_file(_MLMODEL, str(directory / _MLMODEL)))
    return Model.load(str(directory))


def _download(courtesy: Courtesy, key: str, place: str, directory: Path) -> None:
    model = fetch_description(courtesy, key, place, directory)
    repository = get_artifact_repository(place)

    def everything(folder: str | None) -> Iterator[str]:
        for file in courtesy.call(key, lambda: repository.list_artifacts(folder)):
            if file.is_dir:
                yield from everything(file.path)
            else:
                yield file.path

    needed = files_of(model)
    wanted = [*needed[0], *(path for folder in needed[1] for path in everything(folder or None))]
    for name in wanted:
        if name != _MLMODEL:
            target = directory / inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            courtesy.call(key, lambda name=name, target=target: repository._download_file(name, str(target)))  # type: ignore[misc]


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
    return [_MLMODEL, inside(flavor["pickled_model"])], [inside(flavor["code"])] if flavor.get("code") else []


def _loaded(reference: Reference, key: str, directory: Path) -> tuple[tuple[Any, str], int]:
    if reference.kind == "bundle":
        bundle = Bundle(bundle_of(directory))
        (child, version), resident = bundle.read(decode_key(key))
        own = EstimatorChild(child, bundle.manifest.features)
        return (_blended(bundle, decode_key(key), own), version), resident
    flavors = Model.load(str(directory)).flavors
    version, size = _digest(directory)
    if "sklearn" in flavors:
        child = EstimatorChild(mlflow.sklearn.load_model(str(directory)))
    else:
        child = PyfuncChild(mlflow.pyfunc.load_model(str(directory)))
    return (child, version), _RESIDENT_FACTOR * size + _RESIDENT_BASE


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


def _forget_after_fork() -> None:
    # A lock that another thread held at the moment of the fork would stay locked for ever in the child process.
    global _resolved
    _resolved = ByteCache(limit=1_000_000)


os.register_at_fork(after_in_child=_forget_after_fork)
