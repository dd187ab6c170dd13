"""Where a group's numbers stand in an array on disk: an index searched in place, which remembers what was asked."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["KeyPlaces", "key_index", "look_up"]

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
        found = [look_up(self._index, key) if isinstance(key, tuple) else -1 for key in keys]
        return np.array(found, dtype=np.int64)

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
    halves = np.array([_halves(key) for key in encoded], dtype=np.uint64).reshape(-1, 2)
    order = np.argsort(halves[:, 0], kind="stable")
    return np.stack([halves[order, 0], halves[order, 1], order.astype(np.uint64)])


def look_up(index: AnyArray, key: Any) -> int:
    """Where a canonical key stands, -1 where it does not.

    Examples
    --------
    >>> index = key_index(['["FR",7]', '["DE",7]'])
    >>> look_up(index, ("DE", 7)), look_up(index, ("DE", 8))
    (1, -1)
    """
    first, second = _halves(encode_key(key))
    place = int(index[0].searchsorted(np.uint64(first)))
    while place < index.shape[1] and int(index[0, place]) == first:
        if int(index[1, place]) == second:
            return int(index[2, place])
        place += 1
    return -1


def _halves(encoded: str) -> tuple[int, int]:
    digest = hashlib.blake2b(encoded.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
