"""What a bundle says of itself: a versioned JSON file, written last and checked first, with its own digest beside it.

When to raise `FORMAT_VERSION`. A reader opens bundles of its own version alone and refuses all others by their number,
so that no release answers from bytes that it reads otherwise than they were meant. The number goes up by one with every
change after which an older reader would answer something else, or raise where it should not: a column, a statement or a
digest of the shards, the order or type of an array, the encoding of a key, what a field of the manifest means, a file
without which answers are wrong. It stays where an older reader answers the same without knowing of the change: a field
of the manifest or a file that only explains, a new family of stacks (its children answer), a faster way to the same
bytes. From the first release on, each version that users may have on disk keeps a reader and a golden bundle in
tests/data, which is never made again. Until then there is one version, and its golden bundle is made anew.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self, get_args

from metamodel.bundle.conformity import nonconforming
from metamodel.common.choices import PredictMethod, UnknownPolicy
from metamodel.exceptions import CorruptBundle, UnreadableBundle
from metamodel.prediction.pooled_model import POOLED
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import KeySchema

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_DIGEST_NAME",
    "MANIFEST_NAME",
    "FileEntry",
    "Manifest",
    "Target",
    "read_manifest",
    "read_proven",
    "write_manifest",
]

FORMAT_VERSION = 1

MANIFEST_NAME = "manifest.json"

# As `sha256sum` writes it, so that `sha256sum --check manifest.sha256` tells, too.
MANIFEST_DIGEST_NAME = "manifest.sha256"

_REMEDY = "Restore the file, or train again."


@dataclass(frozen=True)
class FileEntry:
    """Digest and size of one file of the bundle, and of a shard its identity (`metamodel.bundle.shards`)."""

    sha256: str
    size: int
    identity: str = ""

    @classmethod
    def of(cls, path: Path, identity: str = "") -> Self:
        """Read a file once for its digest."""
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size, identity)

    def describes(self, path: Path) -> bool:
        """Whether a file is what was written; reads it whole."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        return FileEntry.of(path).sha256 == self.sha256


def read_proven(directory: Path, name: str, files: Mapping[str, FileEntry]) -> bytes:
    """Read one file of a bundle if it is what was written; else raise `CorruptBundle`."""
    path = directory / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptBundle(f"{path} cannot be read ({error.strerror}). Restore the bundle.") from error
    if name not in files or hashlib.sha256(content).hexdigest() != files[name].sha256:
        raise CorruptBundle(f"{path} is not what was written. Restore the bundle.")
    return content


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Parameters
    ----------
    name
        The target column.
    task
        "regression" or "classification".
    label_kind
        For classifiers: "string", "integer", "number" or "boolean".
    classes
        For classifiers: the sorted union of the classes of all groups.
    """

    name: str
    task: str
    label_kind: str | None = None
    classes: tuple[str | bool | int | float, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The bundle's own description; see docs/bundle.md for every field."""

    keys: KeySchema
    features: FeatureSchema
    target: Target
    unknown: str
    levels: tuple[int, ...]
    codec: str
    spec_digest: str
    options: dict[str, Any]
    counts: dict[str, int]
    versions: dict[str, str]
    created: str
    files: dict[str, FileEntry] = field(default_factory=dict)
    stacks: tuple[dict[str, Any], ...] = ()
    compression: str | None = None
    references: dict[str, Any] | None = None
    findings: tuple[dict[str, Any], ...] | None = None
    group_values: dict[str, Any] | None = None
    library_settings: dict[str, dict[str, Any]] | None = None
    pooled: dict[str, Any] | None = None

    @property
    def chain(self) -> tuple[int, ...]:
        """Levels that answer for groups without a child, `POOLED` among them where it does so for the global model."""
        if self.pooled is None or not self.pooled["answers_unknown"]:
            return self.levels
        return (*(level for level in self.levels if level), POOLED)

    @property
    def answering_chain(self) -> tuple[int, ...]:
        """The `chain` where it answers unasked; with shrinkage, or for `explore`, there may be one that does not."""
        return self.chain if self.unknown == "fallback" else ()

    @property
    def methods(self) -> dict[str, int]:
        """Methods beside `predict` that all children have, and how many columns each gives (of scores it is not said).

        Of children that say nothing of it, because they live elsewhere, only probabilities are expected.
        """
        described = self.options.get("candidates", {}).values()
        columns = {
            method: [int(candidate.get(method, method == "predict_proba")) for candidate in described]
            for method in get_args(PredictMethod)[1:]
        }
        return {method: max(numbers, default=1) for method, numbers in columns.items() if all(numbers)}

    @property
    def stranger_radius(self) -> float:
        """Half the width of intervals around what the pooled model answers groups that nobody knows; NaN for none."""
        radius = (self.pooled or {}).get("unknown", {}).get("radius")
        return math.nan if radius is None else float(radius)

    @property
    def children(self) -> int:
        """Groups with a child in this bundle, fitted in its training or carried over."""
        return self.counts["fitted"] + self.counts.get("carried", 0)

    def to_json(self) -> str:
        """Serialize, with stable order, for people to read."""
        described = {
            "format_version": FORMAT_VERSION,
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "levels": list(self.levels),
            "keys": self.keys.to_dict(),
            "features": self.features.to_dict(),
            "target": {**asdict(self.target), "classes": list(self.target.classes)},
            "files": {name: _described(entry) for name, entry in sorted(self.files.items())},
        }
        described |= {name: getattr(self, name) for name, absent in _OPTIONAL.items() if getattr(self, name) != absent}
        return json.dumps(described, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, origin: str) -> Self:
        """Inverse of `to_json`.

        Parameters
        ----------
        text
            Content of the file.
        origin
            Where it comes from, for the message.

        Raises
        ------
        UnreadableBundle
            The text is no manifest, or of another format version, or a field is missing or no such thing.
        """
        try:
            described = json.loads(text)
            version = described["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableBundle(
                f"{origin} is no manifest ({error!r}). Give the path of a bundle that training wrote."
            ) from error
        if type(version) is not int or version != FORMAT_VERSION:
            raise UnreadableBundle(
                f"{origin} has format version {version!r}; this release reads {FORMAT_VERSION}. "
                "Open it with the release that wrote it, or train again."
            )
        try:
            manifest = cls(
                keys=KeySchema.from_dict(described["keys"]),
                features=FeatureSchema.from_dict(described["features"]),
                target=Target(**{**described["target"], "classes": tuple(described["target"]["classes"])}),
                levels=tuple(described["levels"]),
                files={name: FileEntry(**entry) for name, entry in described["files"].items()},
                **{name: _restored(described.get(name, default)) for name, default in _OPTIONAL.items()},
                **{name: described[name] for name in _AS_THEY_ARE},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableBundle(f"{origin} lacks or garbles a field: {error!r}. {_REMEDY}") from error
        if garbled := nonconforming(manifest, cls) or _inconsistent(manifest):
            raise UnreadableBundle(f"{origin} lacks or garbles a field: {garbled}. {_REMEDY}")
        return manifest


_AS_THEY_ARE = ("unknown", "codec", "spec_digest", "options", "counts", "versions", "created")

_OPTIONAL: dict[str, Any] = {
    "stacks": (),
    "compression": None,
    "references": None,
    "findings": None,
    "group_values": None,
    "library_settings": None,
    "pooled": None,
}


_LABEL_KINDS = {"regression": (None,), "classification": ("string", "integer", "number", "boolean")}


def _described(entry: FileEntry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if name != "identity" or value}


def _restored(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _inconsistent(manifest: Manifest) -> str:
    """Name a field of the right type that cannot be right; "" where there is none."""
    depth, target, stacks = (
        len(manifest.keys.columns),
        manifest.target,
        [described.get("name") for described in manifest.stacks],
    )
    candidates = manifest.options.get("candidates")
    columns = (manifest.group_values or {"columns": []}).get("columns")
    pooled = manifest.pooled or {"columns": [], "answers_unknown": False}
    checks = {
        "keys": depth > 0 and len(set(manifest.keys.names)) == depth,
        "levels": len(set(manifest.levels)) == len(manifest.levels) and all(0 <= n < depth for n in manifest.levels),
        "unknown": manifest.unknown in get_args(UnknownPolicy),
        "target": target.label_kind in _LABEL_KINDS.get(target.task, ()),
        "compression": manifest.compression in (None, "zstd"),
        "options": isinstance(candidates, dict)
        and all(isinstance(described, dict) for described in candidates.values()),
        "counts": {"fitted", "resident_bytes"} <= manifest.counts.keys() and min(manifest.counts.values()) >= 0,
        "files": all(map(_is_inside, manifest.files)) and all(entry.size >= 0 for entry in manifest.files.values()),
        "stacks": all(isinstance(name, str) and _is_inside(name) for name in stacks),
        "pooled": isinstance(pooled.get("columns"), list) and isinstance(pooled.get("answers_unknown"), bool),
        "group_values": isinstance(columns, list) and all(isinstance(column, str) for column in columns),
    }
    return next((name for name, right in checks.items() if not right), "")


def _is_inside(name: str) -> bool:
    """Whether a file's name leads to no other place than the bundle, whatever system reads it."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not set(name) & {"\\", ":", "\0"} and bool(path.parts)


def read_manifest(directory: Path) -> tuple[Manifest, str]:
    """Read what the bundle in a directory says of itself, and its digest, which is the bundle's.

    Raises
    ------
    UnreadableBundle
        There is no bundle, or one that was not finished, or its manifest is not what was written.
    """
    try:
        content = (directory / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise UnreadableBundle(
            f"{directory} holds no {MANIFEST_NAME}, so it is no bundle or was not finished ({error.strerror}). "
            "Give the directory that training wrote, or train again."
        ) from error
    try:
        recorded = (directory / MANIFEST_DIGEST_NAME).read_bytes()
    except OSError as error:
        raise UnreadableBundle(
            f"{directory} holds no {MANIFEST_DIGEST_NAME}, which proves its manifest ({error.strerror}). {_REMEDY}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if recorded != _digest_line(digest).encode():
        raise UnreadableBundle(f"{directory / MANIFEST_NAME} is not what was written: its sha256 differs. {_REMEDY}")
    origin = str(directory / MANIFEST_NAME)
    return Manifest.from_json(content.decode("utf-8", errors="replace"), origin), digest


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Finish a bundle: with its manifest, which appears last, it can be opened."""
    content = manifest.to_json().encode()
    unfinished = directory / f"{MANIFEST_NAME}.unfinished"
    unfinished.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (directory / MANIFEST_DIGEST_NAME).write_text(_digest_line(digest), encoding="utf-8")
    unfinished.rename(directory / MANIFEST_NAME)


def _digest_line(digest: str) -> str:
    """Content of the file that proves the manifest."""
    return f"{digest}  {MANIFEST_NAME}\n"
