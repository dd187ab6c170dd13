"""What a bundle says of itself: a versioned JSON file, written last and checked first.

Format rules: a reader accepts every version up to its own `FORMAT_VERSION`. A field that old readers may ignore can
be added without a new version; anything that changes how existing bytes are read needs one, and a golden bundle in
tests/data. Version 2 is version 1 with compressed shards (docs/decisions/0009-compression.md) or with references
(docs/decisions/0008-references.md). In version 3 predictions are blended (docs/decisions/0014-shrinkage.md): a
reader that left the weights aside would answer something else. What has none of these is written as version 1.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from metamodel.exceptions import CorruptBundle, UnreadableBundle
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import KeySchema

__all__ = [
    "BLENDED_VERSION",
    "COMPRESSED_VERSION",
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "PLAIN_VERSION",
    "REFERENCES_VERSION",
    "FileEntry",
    "Manifest",
    "Target",
    "verified_path",
]

PLAIN_VERSION = 1

COMPRESSED_VERSION = REFERENCES_VERSION = 2

BLENDED_VERSION = 3

FORMAT_VERSION = 3

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """Digest and size of one file of the bundle."""

    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file once for its digest."""
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def verified_path(directory: Path, name: str, files: Mapping[str, FileEntry]) -> Path:
    """Read one file of a bundle whole, and return its path if it is what was written; else raise `CorruptBundle`."""
    path = directory / name
    if name not in files or not path.is_file() or FileEntry.of(path) != files[name]:
        raise CorruptBundle(f"{path} is not what was written. Restore the bundle.")
    return path


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
    classes: tuple[Any, ...] = ()


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
    format_version: int = PLAIN_VERSION
    stacks: tuple[dict[str, Any], ...] = ()
    compression: str | None = None
    references: dict[str, Any] | None = None
    findings: tuple[dict[str, Any], ...] | None = None
    figures: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Serialize, with stable order, for people to read."""
        plain = {
            **{name: getattr(self, name) for name in _PLAIN},
            "format_version": self.format_version,
            "levels": list(self.levels),
            "keys": self.keys.to_dict(),
            "features": self.features.to_dict(),
            "target": {**asdict(self.target), "classes": list(self.target.classes)},
            "files": {name: asdict(entry) for name, entry in sorted(self.files.items())},
        }
        if self.stacks:  # optional: a reader without it asks the children
            plain["stacks"] = list(self.stacks)
        if self.compression is not None:
            plain["compression"] = self.compression
        if self.references is not None:
            plain["references"] = self.references
        if self.findings is not None:
            plain["findings"] = list(self.findings)
        if self.figures is not None:
            plain["figures"] = self.figures
        return json.dumps(plain, indent=2, ensure_ascii=False)

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
            The text is no manifest, or of a format version this release does not know.
        """
        try:
            data = json.loads(text)
            version = data["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableBundle(
                f"{origin} is no manifest ({error!r}). Give the path of a bundle that training wrote."
            ) from error
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise UnreadableBundle(
                f"{origin} has format version {version!r}; this release reads 1 to {FORMAT_VERSION}. Upgrade metamodel."
            )
        try:
            return cls(
                keys=KeySchema.from_dict(data["keys"]),
                features=FeatureSchema.from_dict(data["features"]),
                target=Target(**{**data["target"], "classes": tuple(data["target"]["classes"])}),
                levels=tuple(data["levels"]),
                files={name: FileEntry(**entry) for name, entry in data["files"].items()},
                format_version=version,
                stacks=_described(data.get("stacks")) or (),
                compression=data.get("compression"),
                references=data.get("references"),
                findings=_described(data.get("findings")),
                figures=data.get("figures"),
                **{name: data[name] for name in _PLAIN},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableBundle(
                f"{origin} lacks or garbles a field: {error!r}. Restore the file, or train again."
            ) from error


_PLAIN = ("unknown", "codec", "spec_digest", "options", "counts", "versions", "created")


def _described(items: Any) -> tuple[dict[str, Any], ...] | None:
    return tuple(item for item in items if isinstance(item, dict)) if isinstance(items, list) else None
