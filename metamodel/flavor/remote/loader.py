"""Get referenced children: resolve the reference, bring the files to disk throttled, load what is there."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from metamodel.bundle.manifest import Manifest, read_manifest
from metamodel.bundle.references import PACKED_DIR, Reference, ReferenceSettings
from metamodel.bundle.shard_reader import ShardReader, open_shards
from metamodel.common.fork_lock import not_during_fork
from metamodel.common.uris import is_local, local_path, redacted
from metamodel.exceptions import ChildUnavailable, MetaModelError, UnknownGroup
from metamodel.flavor.remote.aliases import place_now
from metamodel.flavor.remote.child_files import RESIDENT_BASE, files_of, load_child
from metamodel.flavor.remote.connections import store_session
from metamodel.flavor.remote.disk_cache import process_disk_cache
from metamodel.flavor.remote.endpoint import EndpointChild
from metamodel.flavor.remote.http_hook import download_file
from metamodel.flavor.remote.mlmodel import MLMODEL, inside, one_line
from metamodel.flavor.remote.throttle import Throttle, server_of, throttle_for

__all__ = ["ElsewhereLoader", "fetch_description", "fetch_files", "throttle_of"]


@dataclass(frozen=True)
class ElsewhereLoader:
    """Loads the children that a bundle refers to; travels to other processes as the bundle's path.

    Parameters
    ----------
    bundle
        The referring bundle's directory.
    """

    bundle: str

    def __reduce__(self) -> tuple[Any, ...]:
        return ElsewhereLoader, (self.bundle,)  # without what was read: open files cannot travel

    @cached_property
    def _manifest(self) -> Manifest:
        return read_manifest(Path(self.bundle))[0]

    @cached_property
    def settings(self) -> ReferenceSettings:
        """What is common to all references."""
        return ReferenceSettings.from_dict(self._manifest.references or {})

    @cached_property
    def _archives(self) -> list[ShardReader]:
        return open_shards(Path(self.bundle), self._manifest.files, PACKED_DIR)

    def resolve(self, reference: Reference, key: str) -> str:
        """Say where a child is now.

        Raises
        ------
        ChildUnavailable
            There is no such child, or nobody can tell.
        """
        if reference.packed:
            return f"packed:{reference.packed}"
        if reference.kind == "endpoint":
            return reference.uri
        if reference.place:
            return reference.place
        with _explained(reference, key):
            return place_now(reference.uri, key, self.settings, throttle_of(reference.uri, self.settings))

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
                return (child, hashlib.sha256(place.encode()).hexdigest()), RESIDENT_BASE
            with self.files(reference, key, place) as directory:
                try:
                    with not_during_fork():
                        return load_child(reference, key, directory, self._manifest.keys)
                except (UnknownGroup, ChildUnavailable) as error:
                    not_for_us = error  # the files are as they should be
            raise not_for_us

    @contextmanager
    def files(self, reference: Reference, key: str, place: str) -> Iterator[Path]:
        """Hold a directory with the files of a child."""
        disk = process_disk_cache
        if reference.packed:
            with disk().entry(place, lambda directory: self._unpack(reference.packed, directory)) as directory:
                yield directory
            return
        if objection := self.settings.objection_behind(reference.uri, place):
            raise ChildUnavailable(f"{redacted(place)} may not be used: {objection}")
        if is_local(place):
            yield local_path(place)
        else:
            name = f"{mlflow.get_tracking_uri()} {reference.kind} {place}"
            throttle = throttle_of(place, self.settings)
            with disk().entry(name, lambda directory: _download(throttle, key, place, directory)) as directory:
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


def throttle_of(place: str, settings: ReferenceSettings) -> Throttle:
    """How the server of a place is called: each at the rate, and a web store without following it elsewhere.

    Its name may lead elsewhere by then than when it was checked, so its address is looked at again.
    """
    is_web = place.lower().startswith(("http:", "https:"))
    return throttle_for(
        server_of(place),
        settings.requests_per_second,
        settings.patience_seconds,
        redirects=not is_web,
        session=store_session() if is_web and not settings.allow_private else None,
    )


@contextmanager
def _explained(reference: Reference, key: str) -> Iterator[None]:
    try:
        yield
    except UnknownGroup:
        raise
    except Exception as error:  # a store's client, or an unpickled child's code, raises whatever it likes
        reason = str(error).rstrip(".") if isinstance(error, MetaModelError) else one_line(error)
        raise ChildUnavailable(
            f"The child of group {key} at {redacted(reference.uri)} cannot be loaded ({redacted(reason)}). "
            "Check that it exists and that the server can be reached."
        ) from error


def fetch_description(throttle: Throttle, key: str, place: str, directory: Path) -> Model:
    """Fetch the file MLmodel of a model, and read it."""
    repository = get_artifact_repository(place)
    throttle.call(key, partial(download_file, repository, MLMODEL, directory / MLMODEL), place)
    return Model.load(str(directory))


def _download(throttle: Throttle, key: str, place: str, directory: Path) -> None:
    fetch_files(throttle, key, place, directory, files_of(fetch_description(throttle, key, place, directory)))


def fetch_files(
    throttle: Throttle, key: str, place: str, directory: Path, needed: tuple[Sequence[str], Sequence[str]]
) -> None:
    """Fetch some files and folders of a model whose MLmodel is there already."""
    repository = get_artifact_repository(place)

    def everything(folder: str | None) -> Iterator[str]:
        for file in throttle.call(key, lambda: repository.list_artifacts(folder), place):
            if file.is_dir:
                yield from everything(file.path)
            else:
                yield file.path

    names = [*needed[0], *(path for folder in needed[1] for path in everything(folder or None))]
    for name in names:
        if name != MLMODEL:
            target = directory / inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            throttle.call(key, partial(download_file, repository, name, target), place)
