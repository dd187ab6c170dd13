"""Local or global? What the report says of children against their parents."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from metamodel.bundle.ledger import COMPARISON_COLUMNS
from metamodel.common.group_status import POOLED
from metamodel.evaluation.significance import adjusted, verdicts
from metamodel.report.charts import histogram, shares
from metamodel.report.rows import ENOUGH_ROWS, EXAMPLES, floats, records

__all__ = ["LocalOrGlobal", "with_adjusted"]


def with_adjusted(children: pd.DataFrame) -> pd.DataFrame:
    """Adjust verdicts for their number, where the ledger is of a release that did not."""
    if "p_value" not in children or "p_value_adjusted" in children:
        return children
    p, saved = adjusted(floats(children, "p_value")), floats(children, "error_saved")
    verdict = np.where(children["compared_rows"] > 0, verdicts(p, saved), "")
    return children.assign(p_value_adjusted=p, better_than_parent=verdict)


@dataclass(frozen=True)
class LocalOrGlobal:
    """Children and their parents on the same held-out rows.

    Parameters
    ----------
    children
        Rows of the ledger, with `encoded` keys.
    rows_held
        Encoded key → held-out rows that the bundle keeps.
    """

    children: pd.DataFrame
    rows_held: Mapping[str, int]

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Children that were compared with a parent."""
        if "compared_rows" not in self.children:  # a bundle of an older release
            return self.children.iloc[:0].assign(**dict.fromkeys(COMPARISON_COLUMNS, 0.0))
        found = self.children[self.children["compared_rows"] > 0]
        numbers = ("compared_rows", "error_saved", "error_saved_global", "p_value", "p_value_adjusted")
        return found.astype(dict.fromkeys(numbers, np.float64))

    @property
    def _compared_well(self) -> pd.DataFrame:
        """Leave out what one or two rows say, where there are groups with more."""
        many = self.compared[self.compared["compared_rows"] >= ENOUGH_ROWS]
        return many if len(many) else self.compared

    @property
    def rows_not_compared(self) -> int:
        """Held-out rows of compared children that their parent had seen in training."""
        held = self.compared["encoded"].map(self.rows_held).fillna(0).sum()
        return int(held - self.compared["compared_rows"].sum())

    def verdicts(self) -> Markup:
        """How many children are better than their parents."""
        numbers = self.compared["better_than_parent"].value_counts()
        kinds = (("better than the parent", "yes", "good"), ("undecided", "undecided", "even"), ("worse", "no", "bad"))
        return shares([(title, float(numbers.get(name, 0)), colour) for title, name, colour in kinds])

    @property
    def better(self) -> float:
        """Share of the compared children that are better than their parent."""
        return float((self.compared["better_than_parent"] == "yes").mean())

    def saved_picture(self) -> Markup:
        """Distribution of the error saved."""
        return histogram(floats(self.compared, "error_saved") * 100, "error saved, %", lowest=-100)

    def least_saved(self) -> list[dict[str, Any]]:
        """Find the groups that gain least from a model of their own."""
        return records(self._compared_well.sort_values("error_saved", kind="stable").head(EXAMPLES))

    def most_saved(self) -> list[dict[str, Any]]:
        """Find the groups that gain most."""
        best = self._compared_well.sort_values("error_saved", ascending=False, kind="stable")
        return records(best[np.isfinite(floats(best, "error_saved"))].head(EXAMPLES))

    @cached_property
    def by_pooled(self) -> int:
        """Groups that the pooled model answers."""
        return int((self.children["status"] == POOLED).sum())

    @cached_property
    def pruned(self) -> int:
        """Children that were left out because their parent is not worse."""
        return int(self.children["reason"].str.startswith("pruned").sum())
