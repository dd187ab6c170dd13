"""What the report says of prediction intervals: what share of rows they were to cover, and what they reached."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from metamodel.bundle.ledger_queries import interval_summary
from metamodel.report.charts import histogram
from metamodel.report.page_content import Facts

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True)
class Coverage:
    """The intervals of a model.

    Parameters
    ----------
    level
        Share of rows that they were to cover.
    counts
        From `ledger.interval_summary`.
    reached
        Share reached in each group, in percent; NaN where it was not counted.
    rows
        Held-out rows that were counted.
    """

    level: float
    counts: dict[str, Any]
    reached: Any
    rows: int

    def picture(self) -> Markup:
        """Distribution of the coverage over the groups."""
        return histogram(self.reached, "held-out rows inside the interval, %")


def coverage_of(facts: Facts) -> Coverage | None:
    """Read the intervals' part of a ledger, or None where the model has none."""
    level = facts.manifest.options.get("interval")
    if level is None or "interval_radius" not in facts.children:
        return None
    counts = interval_summary(facts.ledger, len(facts.manifest.keys.columns))
    reached = facts.fitted["coverage"].to_numpy(dtype=np.float64, na_value=np.nan)
    return Coverage(level, counts, 100 * reached, int(facts.fitted["coverage_rows"].sum()))
