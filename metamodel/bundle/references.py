"""Where children live that are not in a bundle's shards: pure description, what may be pointed to, and the table.

A reference says where a child is and nothing of how it is fetched; that is the loader's affair (`ChildLoader`), which
the edge hands over when it opens a model (docs/decisions/0008-references.md).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args

from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.shard_reader import open_shards
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.common.messages import short
from metamodel.common.uris import is_local, local_path, malformed, private_address
from metamodel.common.validation import is_number, one_of
from metamodel.exceptions import CorruptBundle, InputError, UnreadableBundle

__all__ = [
    "PACKED_DIR",
    "REFERENCE_DIR",
    "WORKERS_VARIABLE",
    "ChildLoader",
    "Reference",
    "ReferenceSettings",
    "ReferenceTable",
    "write_reference_table",
]

# How many processes share the rate of requests to a server.
WORKERS_VARIABLE = "METAMODEL_FETCH_WORKERS"

REFERENCE_DIR = "references"

PACKED_DIR = "packed"

Kind = Literal["model", "bundle", "endpoint"]


@dataclass(frozen=True)
class Reference:
    """Where one group's child lives.

    Parameters
    ----------
    uri
        What was asked for.
    kind
        "model" (an MLflow model), "bundle" (the same group of another meta-model) or "endpoint".
    place
        Where that is, if it cannot change: then nobody needs to be asked again. "" for an alias that is followed.
    packed
        Name of the archive in this bundle that holds the child's files; "" where they are fetched.
    sha256
        Digest that the serialized child must have; "" where nobody knows it beforehand.
    """

    uri: str
    kind: Kind = "model"
    place: str = ""
    packed: str = ""
    sha256: str = ""

    def to_json(self) -> bytes:
        """Serialize."""
        given = {name: value for name, value in asdict(self).items() if value or name != "sha256"}
        return json.dumps(given, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Inverse of `to_json`.

        Raises
        ------
        CorruptBundle
            The text is no reference, or of a kind this release does not know.
        """
        try:
            reference = cls(**json.loads(text))
            one_of("kind", reference.kind, get_args(Kind))
        except (ValueError, TypeError) as error:
            raise CorruptBundle(f"A reference cannot be read ({error}). Upgrade metamodel, or restore it.") from error
        return reference


@dataclass(frozen=True)
class ReferenceSettings:
    """What is common to all references of a model.

    Parameters
    ----------
    refresh_seconds
        Resolve aliases again after this time; None: once a process.
    requests_per_second
        Upper bound for this model's users together, to each server; each process takes its share
        (METAMODEL_FETCH_WORKERS).
    concurrency
        Children that one call fetches side by side.
    patience_seconds
        Give a child up when the server refuses or fails for so long.
    deadline_seconds
        An endpoint that has not answered by then has failed.
    roots
        Directories that file paths may point into; none: no path at all.
    allow_private
        Whether the host of a URI may have a private, loopback or link-local address.

    Raises
    ------
    InputError
        A number is out of range.
    """

    refresh_seconds: float | None = None
    requests_per_second: float = 20.0
    concurrency: int = 4
    patience_seconds: float = 120.0
    deadline_seconds: float = 10.0
    roots: tuple[str, ...] = ()
    allow_private: bool = False

    def __post_init__(self) -> None:
        numbers = ("refresh_seconds", "requests_per_second", "concurrency", "patience_seconds", "deadline_seconds")
        for name in numbers:
            value = getattr(self, name)
            if value is None and name == "refresh_seconds":
                continue
            if not is_number(value) or not 0 < value < float("inf"):
                raise InputError(f"{name}={short(value)} is no positive number. Give one above 0.")
        if not isinstance(self.concurrency, int):
            raise InputError(f"concurrency={short(self.concurrency)} is no whole number. Give one of at least 1.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, for the manifest."""
        return {**asdict(self), "roots": list(self.roots)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; settings of later releases are left aside."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "roots": tuple(known.get("roots", ()))})

    def objection(self, uri: str) -> str:
        """Say why a URI may not be used, or "".

        Examples
        --------
        >>> ReferenceSettings().objection("models:/sales-FR@champion")
        ''
        >>> ReferenceSettings().objection("http://169.254.169.254/invocations")
        '169.254.169.254 is a private, loopback or link-local address; allow_private is off'
        >>> ReferenceSettings(roots=("/models",)).objection("/models/../etc/passwd")
        'the path is outside the allowed roots (/models)'
        """
        if problem := malformed(uri):
            return problem
        if is_local(uri):
            return self._outside(local_path(uri))
        if uri.lower().startswith("zip:"):
            return "a packed model is no child; unpack it"
        problem = "" if self.allow_private else private_address(uri)
        return problem and f"{problem}; allow_private is off"

    def objection_behind(self, uri: str, place: str) -> str:
        """Say why the place that a URI leads to may not be used, or "".

        What a registry says is believed, except that with `roots` its files may be nowhere else on this machine.
        """
        if place != uri and is_local(place) and not self.roots:
            return ""
        return self.objection(place)

    def _outside(self, path: Path) -> str:
        resolved = path.resolve()
        if any(resolved.is_relative_to(Path(root).resolve()) for root in self.roots):
            return ""
        return f"the path is outside the allowed roots ({', '.join(self.roots) or 'there are none'})"


class ChildLoader(Protocol):
    """Gets the children that references point to; raises `ChildUnavailable` where it cannot."""

    def resolve(self, reference: Reference, key: str) -> str:
        """Say where the child is now; cheap, because it is asked for every group of every call."""
        ...

    def load(self, reference: Reference, key: str, place: str) -> tuple[tuple[Any, str], int]:
        """Return ((child, version), bytes of memory)."""
        ...


class ReferenceTable:
    """Reads the references of a bundle, one at a time.

    Parameters
    ----------
    path
        The bundle's directory.
    files
        The manifest's files.
    described
        The manifest's `references`: the settings.

    Raises
    ------
    UnreadableBundle
        The settings of the references are none.
    """

    def __init__(self, path: Path, files: Mapping[str, FileEntry], described: Mapping[str, Any]) -> None:
        try:
            self.settings = ReferenceSettings.from_dict(described)
        except (InputError, TypeError) as error:
            raise UnreadableBundle(f"{path} has unusable settings of references: {error}") from error
        self._readers = open_shards(path, files, REFERENCE_DIR)

    def find(self, key: str) -> Reference | None:
        """Look a group up; None where it has no reference."""
        for reader in self._readers:
            row = reader.read(key)
            if row is not None and row.child is not None:
                return Reference.from_json(row.child)
        return None

    def items(self) -> Iterator[tuple[str, Reference]]:
        """Yield every encoded key and its reference."""
        for reader in self._readers:
            for row in reader.fitted():
                yield row.key, Reference.from_json(row.child or b"")


def write_reference_table(directory: Path, rows: Iterable[tuple[str, int, Reference]]) -> None:
    """Write the references of a bundle: (encoded key, level, reference)."""
    (directory / REFERENCE_DIR).mkdir()
    with ShardWriter(directory / REFERENCE_DIR / "00000.sqlite") as shard:
        for key, level, reference in rows:
            shard.add(ShardRow.of_child(key, level, "", reference.to_json(), 0))
