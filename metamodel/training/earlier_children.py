"""Where warm starts come from: the children of an earlier bundle, read when their groups' turn comes."""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.reader import Bundle
from metamodel.exceptions import CorruptBundle
from metamodel.fitting.warm_start import EarlierChild, Seen
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["PackedStart", "Starts"]


@dataclass(frozen=True)
class PackedStart:
    """A group's earlier child as bytes, ready to travel to the process that fits the group.

    Parameters
    ----------
    blob, sha256
        The child, and its digest.
    codec
        What reads it.
    refusal
        Why there is none; empty where there is one.
    warm
        Whether the fit goes on from it.
    seen
        Where the new child has to win against it: the newest row that it saw, or the hashes of all; else None.
    """

    blob: bytes = b""
    sha256: str = ""
    codec: str = ""
    refusal: str = ""
    warm: bool = True
    seen: Seen | None = None

    def open(self) -> EarlierChild:
        """Make it a start; the child is deserialized when the fit asks for it."""
        if self.refusal:
            return EarlierChild(refusal=self.refusal, warm=self.warm)
        return EarlierChild(partial(_load, self), self.sha256, "", self.warm, self.seen)

    def to_bytes(self) -> bytes:
        """Serialize, for a column of a Spark table."""
        return pickle.dumps((self.blob, self.sha256, self.codec, self.refusal, self.warm, self.seen))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `to_bytes`."""
        return cls(*pickle.loads(data))


def _load(packed: PackedStart) -> Any:
    return get_codec(packed.codec).loads(packed.blob)


class Starts:
    """What the groups of a training go on from.

    Parameters
    ----------
    bundle
        The earlier version.
    refusal
        Why none of its children will do; empty where they may.
    warm
        Whether fits go on from them.
    incumbents
        Group whose new child has to win against the earlier one → what this one has seen.

    Attributes
    ----------
    digest
        The same digest, the same starts.
    warm
        Whether fits go on from the earlier children.
    contests
        How many groups' new children have to win.
    """

    def __init__(
        self,
        bundle: Bundle,
        refusal: str = "",
        *,
        warm: bool = True,
        incumbents: Mapping[GroupKey, Seen] | None = None,
    ) -> None:
        self._bundle = bundle
        self._refusal = refusal
        self.warm = warm
        self._incumbents = incumbents or {}
        self.contests = len(self._incumbents)
        self.digest = f"{bundle.digest}{refusal}" + ("" if incumbents is None else f" {warm} {len(incumbents)}")

    def of(self, keys: Iterable[GroupKey]) -> dict[GroupKey, PackedStart]:
        """Read the earlier children of some groups.

        Where fits go on from them each key has a start, if only one that says why it is none.
        """
        chosen = [key for key in keys if self.warm or key in self._incumbents]
        return {key: replace(self._of(key), warm=self.warm, seen=self._incumbents.get(key)) for key in chosen}

    def _of(self, key: GroupKey) -> PackedStart:
        references = self._bundle.references
        if self._refusal:
            return PackedStart(refusal=self._refusal)
        if references is not None and references.find(encode_key(key)) is not None:
            return PackedStart(refusal="the earlier child lives elsewhere")
        try:
            row = self._bundle.find(key)
        except CorruptBundle:
            return PackedStart(refusal="the earlier child is damaged")
        if row is None:
            return PackedStart(refusal="no such group before")
        if row.child is None:
            return PackedStart(refusal=f"no child before ({row.status})")
        return PackedStart(row.child, row.sha256, self._bundle.manifest.codec)
