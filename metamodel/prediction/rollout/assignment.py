"""Which units of a roll-out the challenger answers: decided by a hash of the unit alone, without any state.

A unit is named by its encoded key (`metamodel.tables.keys.encode_key`): ``["c-17"]``, ``[42]``, ``["FR",7]``. Its hash
is the first 8 bytes of SHA-256(salt ‖ 0 ‖ encoded key), and the challenger has it where hash / 2**64 < fraction. Any
language that knows SHA-256 decides the same, a larger fraction only adds units, and roll-outs with different salts are
independent of each other (Kohavi, Tang and Xu 2020, chapter 14).
"""

import hashlib
import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from metamodel.common.arrays import BoolArray, HashArray
from metamodel.exceptions import InputError

__all__ = ["bound_text", "check_fraction", "hash_text", "in_challenger", "unit_hash", "unit_hashes"]

_HASHES = 2**64


def unit_hash(encoded: str, salt: str) -> int:
    """Hash one unit.

    Parameters
    ----------
    encoded
        The unit's encoded key.
    salt
        Of the roll-out.

    Returns
    -------
    int
        From 0 to 2**64 - 1.

    Examples
    --------
    >>> hash_text(unit_hash('["c-17"]', "spring"))
    '05b7a06c226f2ea1'
    """
    return int.from_bytes(hashlib.sha256(f"{salt}\0{encoded}".encode("utf-8", errors="surrogatepass")).digest()[:8])


def unit_hashes(encoded: Iterable[str], salt: str) -> HashArray:
    """Hash many units, shape (n_units,); give distinct ones, each is hashed."""
    salted, sha256 = f"{salt}\0", hashlib.sha256
    heads = [sha256((salted + text).encode("utf-8", errors="surrogatepass")).digest()[:8] for text in encoded]
    return np.frombuffer(b"".join(heads), dtype=">u8").astype(np.uint64)


def hash_text(unit: int) -> str:
    """Write a hash as 16 hexadecimal digits, as SQL's ``substr(sha256(...), 1, 16)`` gives them."""
    return f"{unit:016x}"


def in_challenger(hashes: HashArray, fraction: float) -> BoolArray:
    """Whether the challenger has each of some units, shape (n_units,).

    Examples
    --------
    >>> in_challenger(np.array([0, 2**63 - 1, 2**63], dtype=np.uint64), 0.5).tolist()
    [True, True, False]
    """
    bound = _bound(fraction)
    return np.ones(len(hashes), dtype=bool) if bound == _HASHES else hashes < np.uint64(bound)


def bound_text(fraction: float) -> str:
    """Write the lowest hash that is not the challenger's, so that SQL can compare texts.

    Of fraction 1 there is none: it is a text behind all of them.

    Examples
    --------
    >>> bound_text(0.1), bound_text(1)
    ('1999999999999a00', 'g')
    """
    bound = _bound(fraction)
    return "g" if bound == _HASHES else hash_text(bound)


def check_fraction(fraction: object) -> float:
    """Insist on a share from 0 to 1.

    Raises
    ------
    InputError
        It is none.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        raise InputError(f"fraction={fraction!r} is no share of the units. Give a number from 0 to 1.")
    return float(fraction)


def _bound(fraction: float) -> int:
    """Give the lowest hash that is not the challenger's, without the rounding of a product of floats."""
    return math.ceil(Fraction(fraction) * _HASHES)
