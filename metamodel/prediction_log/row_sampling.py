"""Which rows are logged: decided by a hash of the row, so that a repeated request is always in the log, or never."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray

__all__ = ["content_hashes", "id_hashes", "sampled"]

_HASHES = 2**64

# Odd numbers of SplitMix64 (Steele, Lea and Flood 2014), whose last step spreads every bit over all of them.
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def sampled(hashes: HashArray, fraction: float) -> BoolArray:
    """Whether each of some rows is logged, shape (n_rows,); a larger fraction only adds rows.

    Examples
    --------
    >>> sampled(np.array([0, 2**63], dtype=np.uint64), 0.5).tolist()
    [True, False]
    """
    bound = ceil(Fraction(fraction) * _HASHES)
    return np.ones(len(hashes), dtype=bool) if bound >= _HASHES else hashes < np.uint64(bound)


def id_hashes(names: Sequence[str]) -> HashArray:
    """Hash rows that have a name, shape (n_rows,)."""
    heads = [hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(heads), dtype=">u8").astype(np.uint64)


def content_hashes(key_texts: Sequence[str], columns: Sequence[AnyArray]) -> HashArray:
    """Hash rows by their key and features, shape (n_rows,): by a row's own values, never by the rows beside it.

    Parameters
    ----------
    key_texts
        Each row's encoded key; "" where it has none.
    columns
        One array a feature, of numbers or of anything else, each of shape (n_rows,).
    """
    distinct = {text: i for i, text in enumerate(dict.fromkeys(key_texts))}
    of_key = id_hashes(list(distinct))
    hashes = of_key[[distinct[text] for text in key_texts]] if len(distinct) else of_key
    for values in columns:
        hashes = _mixed(hashes + _STEP) ^ _bits(values)
    return _mixed(hashes)


def _bits(values: AnyArray) -> HashArray:
    """Give each value 64 bits of its own."""
    if getattr(values, "dtype", None) is not None and values.dtype.kind in "fiub":
        numbers = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 equals 0.0, and has other bits
        return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
    texts = [str(value) for value in np.asarray(values, dtype=object)]
    return pd.util.hash_array(np.array(texts, dtype=object), categorize=False)


def _mixed(hashes: HashArray) -> HashArray:
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _FIRST
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _SECOND
    return hashes ^ (hashes >> np.uint64(31))
