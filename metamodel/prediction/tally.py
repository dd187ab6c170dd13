"""What the calls of one model came to, for `MetaModel.stats` and the server's metrics."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

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

    def figures(self) -> dict[str, Any]:
        """Plain form, with the share of the rows that a parent or the global model answered."""
        total = sum(self.rows.values())
        fallback = sum(n for status, n in self.rows.items() if status == "global" or status.startswith("parent:"))
        return {
            "rows": dict(self.rows),
            "rows_stacked": self.rows_stacked,
            "fallback_rate": fallback / total if total else 0.0,
            "seconds_predicting": self.seconds_predicting,
        }
