"""What became of the rows of one scoring: who answered, why others were not answered, how far off the answers are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import nan, sqrt
from typing import Any

import pandas as pd

from metamodel.common.messages import listing
from metamodel.exceptions import InputError

__all__ = ["UNANSWERED", "Errors", "ScoreSummary", "check_free"]

UNANSWERED = ("unknown_group", "invalid_key", "failed")


@dataclass
class Errors:
    """Sums over rows whose target is known and which were answered; parts of a table add up.

    Parameters
    ----------
    rows
        How many rows.
    absolute, squared
        Sums of the absolute and squared errors; of class labels, of the wrong ones.
    mean, spread
        Mean of the target, and the sum of its squared distances from the mean.
    """

    rows: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    @classmethod
    def of(cls, actual: pd.Series, predicted: pd.Series, task: str) -> "Errors":
        """Sum up the rows of a part that have both; both of one length."""
        if task == "regression":
            actual = pd.to_numeric(actual, errors="coerce")
        known = actual.notna().to_numpy() & predicted.notna().to_numpy()
        if not known.any():
            return cls()
        if task != "regression":
            wrong = float((actual[known].to_numpy(object) != predicted[known].to_numpy(object)).sum())
            return cls(int(known.sum()), wrong, wrong)
        truth = actual[known].to_numpy(float)
        error = predicted[known].to_numpy(float) - truth
        mean = float(truth.mean())
        return cls(len(truth), float(abs(error).sum()), float(error @ error), mean, float(((truth - mean) ** 2).sum()))

    def __add__(self, other: "Errors") -> "Errors":
        rows = self.rows + other.rows
        if not rows:
            return self
        apart = other.mean - self.mean
        return Errors(
            rows,
            self.absolute + other.absolute,
            self.squared + other.squared,
            self.mean + apart * other.rows / rows,
            self.spread + other.spread + apart**2 * self.rows * other.rows / rows,
        )

    def metrics(self, task: str) -> dict[str, float]:
        """Metrics of all rows together: mae, rmse and r2, or accuracy; none without rows.

        Examples
        --------
        >>> actual, predicted = pd.Series([1.0, 2.0, 3.0]), pd.Series([1.0, 2.0, 5.0])
        >>> Errors.of(actual, predicted, "regression").metrics("regression")["r2"]
        -1.0
        """
        if not self.rows:
            return {}
        if task != "regression":
            return {"accuracy": 1 - self.absolute / self.rows}
        r2 = 1 - self.squared / self.spread if self.spread else nan
        return {"mae": self.absolute / self.rows, "rmse": sqrt(self.squared / self.rows), "r2": r2}


@dataclass(frozen=True)
class ScoreSummary:
    """What became of the rows.

    Parameters
    ----------
    statuses
        Rows by status.
    reasons
        Rows by what was said of them, for rows that nobody answered: (status, text) → rows. On Spark one text stands
        for a status.
    metrics
        Over all rows that were answered and whose target is in the table; empty without the target.
    judged_rows
        How many these are.
    """

    statuses: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    judged_rows: int = 0

    @property
    def rows(self) -> int:
        """Rows that were scored."""
        return sum(self.statuses.values())

    @property
    def unanswered(self) -> int:
        """Rows that nobody answered."""
        return sum(rows for status, rows in self.statuses.items() if status in UNANSWERED)

    def commonest(self, number: int = 5) -> list[tuple[str, str, int]]:
        """Give the commonest reasons first: status, text and rows."""
        return [(status, text, rows) for (status, text), rows in Counter(self.reasons).most_common(number)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "rows": self.rows,
            "status": dict(self.statuses),
            "unanswered": self.unanswered,
            "reasons": [dict(zip(("status", "error", "rows"), reason, strict=True)) for reason in self.commonest()],
            "metrics": dict(self.metrics),
            "judged_rows": self.judged_rows,
        }


def check_free(columns: Iterable[object], added: Iterable[str]) -> None:
    """Refuse a table that has a column of the name of one that scoring adds.

    Raises
    ------
    InputError
        It has; a prefix tells them apart.
    """
    taken = set(columns)
    if clash := [name for name in added if name in taken]:
        raise InputError(
            f"The table already has the column {listing(map(repr, clash))}, which scoring adds. "
            'Give the added columns a prefix, such as prefix="model_".'
        )
