"""What the calls of one model came to, for `MetaModel.stats` and the server's metrics."""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass
class Tally:
    """What the calls of one model came to.

    Attributes
    ----------
    rows
        Rows by status.
    rows_stacked
        Rows that a stack answered.
    seconds_predicting
        Time spent in children and stacks.
    """

    rows: Counter[str] = field(default_factory=Counter)
    rows_stacked: int = 0
    seconds_predicting: float = 0.0

    def add(self, other: "Tally") -> None:
        """Add the figures of another one."""
        self.rows.update(other.rows)
        self.rows_stacked += other.rows_stacked
        self.seconds_predicting += other.seconds_predicting
