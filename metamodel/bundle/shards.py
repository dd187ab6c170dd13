"""What a shard is: an SQLite file with one row for every group, fitted or not, and the seal over all of them.

An ordinary rowid table with a unique text key and 32 KB pages (docs/decisions/0001-storage.md has the measurements).
A finished shard may be compressed: its table `dictionary` then holds what its children share. Digests are those of the
children's own bytes, so that a child is the same child however it is stored.

Two things bind what is read to what was written. Every row has a *proof*, a digest of all that it says with the child's
digest among it, so that no child can stand under another group's key. And every shard has an *identity*, a digest of
all proofs, which stands in its table `seal` and in the manifest: no shard of another training is taken for this one.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

__all__ = [
    "CHILDREN",
    "COLUMNS",
    "DICTIONARY",
    "LARGEST_CHILD",
    "SEAL",
    "ShardRow",
    "StoredFacts",
    "identity_of",
    "proof_of",
]

# The statements that make the tables. A reader accepts no others: a view in their place might never come to an end.
CHILDREN = (
    "CREATE TABLE children (key TEXT NOT NULL UNIQUE, level INTEGER NOT NULL, status TEXT NOT NULL, "
    "reason TEXT NOT NULL, resident INTEGER NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, "
    "proof TEXT NOT NULL, child BLOB)"
)

SEAL = "CREATE TABLE seal (identity TEXT NOT NULL)"

DICTIONARY = "CREATE TABLE dictionary (bytes BLOB NOT NULL)"

COLUMNS = "key, level, status, reason, resident, size, sha256, proof, child"

_text, _int = json.encoder.encode_basestring_ascii, int.__repr__

# SQLite keeps no larger value, so that no child was ever larger before it was compressed.
LARGEST_CHILD = 10**9


@dataclass(frozen=True)
class ShardRow:
    """What a shard holds of one group.

    Parameters
    ----------
    key
        Encoded group key.
    level
        Number of group columns in the key.
    status, reason
        As in the ledger.
    child
        Serialized child, or None where there is none.
    resident
        Estimated bytes of memory that the loaded child takes.
    sha256
        Digest of `child`, "" without one.
    """

    key: str
    level: int
    status: str
    reason: str
    child: bytes | None = None
    resident: int = 0
    sha256: str = ""

    @classmethod
    def of_child(cls, key: str, level: int, reason: str, child: bytes, resident: int) -> Self:
        """Row of a fitted child, with its digest."""
        return cls(key, level, "fitted", reason, child, resident, hashlib.sha256(child).hexdigest())

    @property
    def size(self) -> int:
        """Bytes of the child as it is before it is compressed."""
        return len(self.child or b"")

    @cached_property
    def proof(self) -> str:
        """Digest of all that the row says."""
        facts = (self.key, self.level, self.status, self.reason, self.resident, self.size, self.sha256)
        return proof_of(StoredFacts(*facts))


class StoredFacts(NamedTuple):
    """What a row says without its child and its proof, in the order of `COLUMNS`; `size` is in bytes."""

    key: str
    level: int
    status: str
    reason: str
    resident: int
    size: int
    sha256: str


def proof_of(facts: StoredFacts) -> str:
    """Digest of a row without its child.

    Raises
    ------
    TypeError
        One of them is of no kind that was ever written.
    """
    key, level, status, reason, resident, size, sha256 = facts
    # As `json.dumps` writes it, in half the time.
    text = f"[{_text(key)}, {_int(level)}, {_text(status)}, {_text(reason)}, "
    text += f"{_int(resident)}, {_int(size)}, {_text(sha256)}]"
    return hashlib.sha256(text.encode()).hexdigest()


def identity_of(proofs: Iterable[str]) -> str:
    """Digest of a shard: of the proofs of its rows, in their order."""
    digest = hashlib.sha256()
    for proof in proofs:
        digest.update(proof.encode())
    return digest.hexdigest()
