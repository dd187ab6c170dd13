"""Champion and challenger: which retrained groups keep the child that they had, by rows that neither child has seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from metamodel.bundle.carry.told import EVIDENCE
from metamodel.bundle.ledger import LedgerRow
from metamodel.common.messages import short
from metamodel.evaluation.pooled_selection import expected_gains
from metamodel.exceptions import InputError

__all__ = ["Contests", "Decision"]

# A new child that is worse by so many standard errors never replaces, whatever the other groups say.
_CLEARLY_WORSE = 3

_SIGNIFICANT = 0.05

# Differences between gains up to this size are made by floating-point numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Decision:
    """What became of a retrained group, in the ledger's words."""

    decision: str
    decided_by: str = ""

    @property
    def keeps(self) -> bool:
        """Whether the group keeps the child that it had."""
        return self.decision == "incumbent_kept"


@dataclass(frozen=True)
class Contests:
    """How new children stand the contest with those that groups had.

    Parameters
    ----------
    evidence
        "pooled": a new child replaces the old one where its expected gain, by the group's own fresh rows and by those
        of all other groups, is above `min_gain`. "own": where its gain is significant by the group's own rows.
        "worse": everywhere but where it is significantly worse.
    min_gain
        In units of the mean of both errors.
    """

    evidence: str = "pooled"
    min_gain: float = 0.0

    def __post_init__(self) -> None:
        if self.evidence not in EVIDENCE:
            raise InputError(f"evidence={short(self.evidence)} is unknown. Use one of: {', '.join(EVIDENCE)}.")
        if isinstance(self.min_gain, bool) or not isinstance(self.min_gain, int | float) or not self.min_gain >= 0:
            raise InputError(f"min_gain={short(self.min_gain)} is no gain. Use a number of at least 0.")

    def decide(self, rows: Sequence[LedgerRow], with_child: Collection[str]) -> dict[str, Decision]:
        """Decide for every group that was retrained; sums run in the order of the keys.

        Parameters
        ----------
        rows
            What became of the groups' new fits.
        with_child
            Encoded keys of the groups that had a child before.
        """
        decided = {row.key: Decision("no_fresh_rows" if row.key in with_child else "new") for row in rows}
        for level in sorted({row.level for row in rows}):
            judged = sorted((row for row in rows if row.level == level and row.fresh_rows), key=lambda row: row.key)
            decided |= dict(zip([row.key for row in judged], self._judge(judged), strict=True))
        return decided

    def _judge(self, rows: Sequence[LedgerRow]) -> list[Decision]:
        if not rows:
            return []
        gains, errors, p_values = (
            np.array([getattr(row, name) for row in rows], dtype=np.float64)
            for name in ("gain", "gain_se", "p_value_incumbent")
        )
        numbers = np.array([row.fresh_rows for row in rows], dtype=np.float64)
        usable = np.isfinite(gains)
        better = np.zeros(len(rows), dtype=bool)
        if self.evidence == "pooled" and usable.any():
            expected = expected_gains(gains[usable], errors[usable], numbers[usable])
            better[usable] = expected > self.min_gain + _ROUNDING
        elif self.evidence == "own":
            better = usable & (gains > self.min_gain) & (p_values < _SIGNIFICANT)
        elif self.evidence == "worse":
            better = usable & (1 - p_values >= _SIGNIFICANT)
        # Errors of a few rows, and of rows that do not differ, are 0 by chance.
        better &= ~((gains < 0) & (errors > 0) & (gains < -_CLEARLY_WORSE * errors))
        return [Decision("replaced" if wins else "incumbent_kept", self.evidence) for wins in better.tolist()]
