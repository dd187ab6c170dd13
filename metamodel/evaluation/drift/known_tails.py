"""Exact tails that were summed up already: cells of few rows are seldom unlike all others.

A million cells of 40 rows have a million tails to sum up, of which a twentieth differ.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["KnownTails", "TailMemory"]

# Places of a memory, at most: 10 MB.
_MOST_PLACES: Final = 1 << 18

# Odd numbers, one for each of a law's four, that mix their bits.
_ODD: Final = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], dtype=np.uint64
)


class TailMemory:
    """Tails of one law of counts by the four numbers that say which.

    Each four have one place, by their hash, and push out those that were there. What is found there counts only if all
    four are the same, so that a tail is the same to the last bit with a memory and without.

    Parameters
    ----------
    cells
        How many cells are looked at.
    """

    def __init__(self, cells: int) -> None:
        bits = min(max(cells, 256), _MOST_PLACES).bit_length() - 1
        self._shift = np.uint64(64 - bits)
        self._laws = [np.full(1 << bits, np.nan) for _ in _ODD]
        self._tails = np.empty(1 << bits)
        self._asked = np.empty(1 << bits, dtype=np.int64)

    def look_up(self, law: Sequence[AnyArray], compute: Callable[..., AnyArray]) -> AnyArray:
        """Return tails; those that are not known are computed, of equal ones one.

        Parameters
        ----------
        law
            Four arrays of floats, shape (n,) each, without NaN.
        compute
            Takes such arrays, and returns the tails, shape (n,).
        """
        places = self._places(law)
        tails = self._tails[places]
        strange = np.flatnonzero(~self._known(law, places))
        if len(strange):
            # Of all that belong in one place one is kept; the others are mostly equal to it.
            self._asked[places[strange]] = strange
            kept = self._asked[places[strange]] == strange
            chosen, others = strange[kept], strange[~kept]
            for numbers, array in zip(self._laws, law, strict=True):
                numbers[places[chosen]] = array[chosen]
            alike = self._known([array[others] for array in law], places[others])
            needed = np.concatenate([chosen, others[~alike]])
            tails[needed] = compute(*(array[needed] for array in law))
            self._tails[places[chosen]] = tails[chosen]
            tails[others[alike]] = self._tails[places[others[alike]]]
        return tails

    def _places(self, law: Sequence[AnyArray]) -> IntArray:
        mixed = np.zeros(len(law[0]), dtype=np.uint64)
        for array, odd in zip(law, _ODD, strict=True):
            mixed = (mixed ^ array.view(np.uint64)) * odd
            mixed ^= mixed >> np.uint64(29)
        return (mixed >> self._shift).astype(np.int64)

    def _known(self, law: Sequence[AnyArray], places: IntArray) -> AnyArray:
        same = np.ones(len(places), dtype=bool)
        for array, kept in zip(law, self._laws, strict=True):
            same &= kept[places] == array
        return same


class KnownTails:
    """Memories of both laws.

    Attributes
    ----------
    beta_binomial, hypergeometric
        See `metamodel.evaluation.drift.exact_tails`.
    """

    def __init__(self, cells: int) -> None:
        self.beta_binomial = TailMemory(cells)
        self.hypergeometric = TailMemory(cells)
