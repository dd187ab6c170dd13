"""Compress the children of a shard with zstd and a dictionary that was trained on some of them.

Children of one family are the same bytes but for their numbers; a dictionary holds what they share, so that even a
child of 700 bytes shrinks to a third (docs/benchmarks.md has the measurements). This module knows
bytes and nothing else.
"""

from collections.abc import Sequence
from typing import Any

from metamodel.exceptions import CorruptBundle, UnreadableBundle

__all__ = ["Compressor", "Decompressor", "check_available", "train_dictionary"]

_LEVEL = 3

_DICTIONARY_BYTES = 64 * 1024

# Below this there is too little to train on, and nothing to gain.
_FEWEST_CHILDREN = 50

# A dictionary is used where children that it was not trained on shrink to less than this.
_WORTHWHILE = 0.75


def check_available() -> None:
    """Raise `UnreadableBundle` where compressed children cannot be read."""
    try:
        import zstandard  # noqa: F401
    except ImportError as error:
        raise UnreadableBundle(
            "The children of this bundle are compressed, and the package zstandard is not installed. "
            "Install it with: pip install zstandard"
        ) from error


def train_dictionary(children: Sequence[bytes]) -> bytes | None:
    """Train a dictionary on every other child, and try it on the rest.

    Parameters
    ----------
    children
        Serialized children, drawn from the whole shard.

    Returns
    -------
    bytes or None
        None where compressing is not worthwhile.
    """
    import zstandard

    if len(children) < _FEWEST_CHILDREN:
        return None
    examples, others = children[::2], children[1::2]
    try:
        dictionary = zstandard.train_dictionary(min(_DICTIONARY_BYTES, sum(map(len, examples)) // 4), list(examples))
    except zstandard.ZstdError:  # nothing that they share
        return None
    compressor = Compressor(dictionary.as_bytes())
    small = sum(len(compressor.compress(child)) for child in others)
    return dictionary.as_bytes() if small < _WORTHWHILE * sum(map(len, others)) else None


class Compressor:
    """Compresses children; for one thread."""

    def __init__(self, dictionary: bytes) -> None:
        import zstandard

        self._zstd: Any = zstandard.ZstdCompressor(level=_LEVEL, dict_data=zstandard.ZstdCompressionDict(dictionary))

    def compress(self, child: bytes) -> bytes:
        """Compress a child."""
        compressed: bytes = self._zstd.compress(child)
        return compressed


class Decompressor:
    """Brings children back; for one thread."""

    def __init__(self, dictionary: bytes) -> None:
        import zstandard

        self._errors = (zstandard.ZstdError, MemoryError)
        self._content_size = zstandard.frame_content_size
        try:
            self._zstd: Any = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(dictionary))
        except zstandard.ZstdError as error:
            raise CorruptBundle(f"The dictionary of a shard is damaged ({error}). Restore the bundle.") from error

    def decompress(self, compressed: bytes, size: int) -> bytes:
        """Bring a child of a recorded size back; of damaged bytes nothing, whose digest is not the recorded one."""
        try:
            if self._content_size(compressed) != size:  # a few bytes may claim to be gigabytes
                return b""
            child: bytes = self._zstd.decompress(compressed)
        except self._errors:
            return b""
        return child
