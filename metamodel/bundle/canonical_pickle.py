"""Pickles whose bytes follow from the values: the same child gives the same bytes in every process.

A pickle writes a text once where two attributes hold the very same object, and twice where they hold equal ones. Which
it is depends on the process: a parameter that came to a worker is no longer the literal in scikit-learn's own code. So
equal children had other bytes, and another sha256, on two processes than on one. Here every text is written once, and
of NumPy's own dtypes there is one object each. The opcodes are those of pickle protocol 5, from the standard library's
`pickletools`.
"""

import io
from functools import cache
from typing import Any

import cloudpickle
import numpy as np

__all__ = ["canonical", "dumps"]

_PROTOCOL = 5

_MEMOIZE, _FRAME, _BINGET, _LONG_BINGET = b"\x94"[0], b"\x95"[0], b"h"[0], b"j"[0]
_TEXTS = frozenset(b"\x8cX")

# What follows an opcode: so many bytes; or so many that say how many more there are.
_FIXED = {b"K": 1, b"M": 2, b"J": 4, b"G": 8, b"\x80": 1, b"\x82": 1, b"\x83": 2, b"\x84": 4}
_COUNTED = {b"\x8c": 1, b"C": 1, b"\x8a": 1, b"X": 4, b"B": 4, b"\x8b": 4, b"\x8d": 8, b"\x8e": 8, b"\x96": 8}
# Of older protocols; a pickle that has one of them is left as it is.
_OLDER = frozenset(b"FILSVPgpqrciT")

_ARGUMENT = [_FIXED.get(bytes([opcode]), 0) for opcode in range(256)]
_PREFIX = [_COUNTED.get(bytes([opcode]), 0) for opcode in range(256)]


class _Pickler(cloudpickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Give arrays whose dtype came from another process NumPy's own dtype object."""
        if type(obj) is np.ndarray and obj.dtype.names is None and obj.dtype.metadata is None:
            return obj.view(_dtype(obj.dtype.str)).__reduce_ex__(_PROTOCOL)
        return super().reducer_override(obj)


@cache
def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(name)


def dumps(child: Any) -> bytes:
    """Pickle with cloudpickle, which also takes lambdas and classes of a notebook; equal children, equal bytes."""
    file = io.BytesIO()
    _Pickler(file, protocol=_PROTOCOL).dump(child)
    return canonical(file.getvalue())


def canonical(pickled: bytes) -> bytes:
    """Write every text of a pickle once.

    Parameters
    ----------
    pickled
        A pickle of protocol 4 or 5.

    Returns
    -------
    bytes
        A pickle of the same value, without frames.

    Examples
    --------
    >>> import pickle
    >>> one, other = "".join(["a", "b"]), "".join(["a", "b"])
    >>> pickle.dumps([one, one]) == pickle.dumps([one, other])
    False
    >>> canonical(pickle.dumps([one, one])) == canonical(pickle.dumps([one, other]))
    True
    """
    written: list[bytes] = []
    places: list[int] = []  # old number of a memoized object → its new one
    texts: dict[bytes, int] = {}
    memoized = start = at = 0
    while at < len(pickled):
        opcode = pickled[at]
        if opcode == _MEMOIZE:
            places.append(memoized)
            memoized += 1
            at += 1
        elif opcode in (_BINGET, _LONG_BINGET):
            end = at + (2 if opcode == _BINGET else 5)
            written += [pickled[start:at], _get(places[int.from_bytes(pickled[at + 1 : end], "little")])]
            start = at = end
        elif opcode == _FRAME:
            written.append(pickled[start:at])
            start = at = at + 9
        elif opcode in _OLDER:
            return pickled
        else:
            end = _end(pickled, at, opcode)
            if opcode in _TEXTS and pickled[end] == _MEMOIZE:
                first = texts.setdefault(pickled[at:end], memoized)
                if first != memoized:
                    places.append(first)
                    written += [pickled[start:at], _get(first)]
                    start = end = end + 1
            at = end
    return b"".join([*written, pickled[start:]])


def _end(pickled: bytes, at: int, opcode: int) -> int:
    """Find where an opcode's argument ends."""
    prefix = _PREFIX[opcode]
    if not prefix:
        return at + 1 + _ARGUMENT[opcode]
    return at + 1 + prefix + int.from_bytes(pickled[at + 1 : at + 1 + prefix], "little")


def _get(place: int) -> bytes:
    return bytes((_BINGET, place)) if place < 256 else bytes((_LONG_BINGET,)) + place.to_bytes(4, "little")
