"""Where a group's numbers stand in an array on disk: an index searched in place, which remembers what was asked."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import GroupKey, encode_keys

__all__ = ["KeyPlaces", "key_index"]

# Keys whose places are remembered; requests come back to the same groups.
_REMEMBERED_KEYS = 65_536


class KeyPlaces:
    """An index of keys that is asked for the same ones again and again; safe to share between threads.

    Parameters
    ----------
    index
        From `key_index`; may be memory-mapped.

    Examples
    --------
    >>> places = KeyPlaces(key_index(['["FR",7]', '["DE",7]']))
    >>> places.of([("DE", 7), ("DE", 8), ("FR", 7)]).tolist()
    [1, -1, 0]
    """

    def __init__(self, index: AnyArray) -> None:
        self._index = index
        self._known: dict[Any, int] = {}

    def remembered(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray | None:
        """Where all these keys stand, or None where one of them was not asked for before, or not found."""
        known = self._known
        found = [known.get(key) for key in keys]
        return None if None in found else np.array(found, dtype=np.int64)

    def search(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Look every key up in the index; -1 where it does not stand there."""
        valid = [i for i, key in enumerate(keys) if isinstance(key, tuple)]
        places = np.full(len(keys), -1, dtype=np.int64)
        places[valid] = self.of_encoded(encode_keys(keys[i] for i in valid))  # type: ignore[misc]
        return places

    def of_encoded(self, encoded: Sequence[str]) -> IntArray:
        """Where keys stand that are encoded already; -1 where they do not. Nothing is remembered."""
        halves = _halves(encoded)
        places = np.full(len(halves), -1, dtype=np.int64)
        pending, at = np.arange(len(halves)), self._index[0].searchsorted(halves[:, 0])
        while len(pending):  # again only where two keys share the first half of their digests
            alike = at < self._index.shape[1]
            alike[alike] = self._index[0, at[alike]] == halves[pending[alike], 0]
            pending, at = pending[alike], at[alike]
            same = self._index[1, at] == halves[pending, 1]
            places[pending[same]] = self._index[2, at[same]]
            pending, at = pending[~same], at[~same] + 1
        return places

    def remember(self, keys: Sequence[GroupKey | InvalidKey], places: IntArray) -> None:
        """Keep where keys stand."""
        if len(self._known) + len(keys) > _REMEMBERED_KEYS:
            self._known.clear()
        # Only those that are there: whoever asks for groups that do not exist shall not push the others out.
        self._known.update((key, place) for key, place in zip(keys, places.tolist(), strict=True) if place >= 0)

    def of(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key stands; -1 where it does not."""
        places = self.remembered(keys)
        if places is None:
            places = self.search(keys)
            self.remember(keys, places)
        return places


def key_index(encoded: Sequence[str]) -> AnyArray:
    """Index of encoded keys that is searched where it lies on disk: no key is read for another one's sake.

    Returns
    -------
    array of shape (3, n_keys), uint64
        First and second half of a 128-bit digest of each key, sorted by the first; and where the key stands.
    """
    halves = _halves(encoded)
    order = np.argsort(halves[:, 0], kind="stable")
    return np.stack([halves[order, 0], halves[order, 1], order.astype(np.uint64)])


def _halves(encoded: Sequence[str]) -> AnyArray:
    """Digest keys; shape (n_keys, 2), uint64."""
    digests = [hashlib.blake2b(key.encode("utf-8", errors="surrogatepass"), digest_size=16).digest() for key in encoded]
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)
