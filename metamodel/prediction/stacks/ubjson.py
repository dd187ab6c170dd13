"""Read the binary JSON (UBJSON) that XGBoost writes: much faster than its JSON, and every number as it is in memory.

Only what XGBoost writes is read: objects, arrays with their lengths, texts and numbers, all lengths of 64 bits.
Anything else raises; nothing is guessed.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray

__all__ = ["Numbers", "joined", "lengths", "read_ubj"]

# Type and bytes of an array of numbers: an ensemble has thousands of them, a few numbers each.
Numbers = tuple[int, bytes]

_TYPES = {
    ord(marker): np.dtype(kind)
    for marker, kind in {"d": ">f4", "D": ">f8", "i": "i1", "U": "u1", "I": ">i2", "l": ">i4", "L": ">i8"}.items()
}

_SIZES = {marker: kind.itemsize for marker, kind in _TYPES.items()}

_CONSTANTS = {ord("Z"): None, ord("T"): True, ord("F"): False}

_OBJECT, _END, _ARRAY, _TEXT, _TYPED, _COUNTED, _LENGTH = b"{}[S$#L"

_int64 = struct.Struct(">q").unpack_from


def read_ubj(content: bytes | bytearray) -> Any:
    r"""Read a document.

    Returns
    -------
    dict, list, str, number, bool or None
        Arrays of numbers of one type as `Numbers`, for `joined`.

    Raises
    ------
    ValueError
        It is no UBJSON as XGBoost writes it.

    Examples
    --------
    >>> read_ubj(b"{L" + bytes(7) + b"\x01ai\x05}")
    {'a': 5}
    """
    try:
        value, end = _value(bytes(content), 0)
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"no binary JSON as XGBoost writes it: {error!r}") from error
    if end != len(content):
        raise ValueError(f"binary JSON of {end} bytes in {len(content)}")
    return value


def joined(arrays: Sequence[Numbers]) -> AnyArray:
    """Put arrays of numbers behind one another."""
    kinds = {kind for kind, _ in arrays}
    if len(kinds) > 1:  # numbers that need more bits in one tree than in another
        return np.concatenate([np.frombuffer(content, _TYPES[kind]) for kind, content in arrays])
    return np.frombuffer(b"".join([content for _, content in arrays]), _TYPES[kinds.pop()] if kinds else np.int32)


def lengths(arrays: Sequence[Numbers]) -> list[int]:
    """Count the numbers of each array."""
    return [len(content) // _SIZES[kind] for kind, content in arrays]


def _value(data: bytes, at: int) -> tuple[Any, int]:
    """Read the value at a place; returns it and where the next one begins."""
    marker = data[at]
    if marker == _OBJECT:
        return _object(data, at + 1)
    if marker == _ARRAY:
        return _array(data, at + 1)
    if marker == _TEXT:
        start, end = at + 10, _end(data, at + 1, 1)
        return data[start:end].decode(), end
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], at + 1
    end = at + 1 + _SIZES[marker]
    return np.frombuffer(data[at + 1 : end], _TYPES[marker])[0].item(), end


def _object(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    total = len(data)
    while data[at] != _END:
        start = at + 9
        end = start + _int64(data, at + 1)[0]
        if data[at] != _LENGTH or not start <= end < total:
            raise IndexError(at)
        name = data[start:end].decode()
        if data[end] == _ARRAY and data[end + 1] == _TYPED and data[end + 3 : end + 5] == b"#L":
            # Nearly all of a model; no function is called for it.
            kind, start = data[end + 2], end + 13
            at = start + _int64(data, end + 5)[0] * _SIZES[kind]
            if not start <= at < total:
                raise IndexError(start)
            members[name] = (kind, data[start:at])
        else:
            members[name], at = _value(data, end)
    return members, at + 1


def _array(data: bytes, at: int) -> tuple[Any, int]:
    if data[at] == _TYPED and data[at + 2] == _COUNTED:
        end = _end(data, at + 3, _SIZES[data[at + 1]])
        return (data[at + 1], data[at + 12 : end]), end
    if data[at] != _COUNTED:
        raise ValueError(f"an array without its length at byte {at} of the binary JSON")
    # An item is at least one byte, so that a count that cannot be is found out here.
    start = at + 10
    values = []
    for _ in range(_end(data, at + 1, 1) - start):
        value, start = _value(data, start)
        values.append(value)
    return values, start


def _end(data: bytes, at: int, size: int) -> int:
    """Where a sequence ends that begins, behind its length, at a place; `size` is that of an item in bytes."""
    (count,) = _int64(data, at + 1)
    end: int = at + 9 + count * size
    if data[at] != _LENGTH or count < 0 or end > len(data):
        raise IndexError(at)
    return end
