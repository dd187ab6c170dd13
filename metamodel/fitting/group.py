"""What goes into the fit of one group, and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.evaluation.holdout import HeldOut
from metamodel.evaluation.pooled_selection import Contest
from metamodel.tables.keys import GroupKey
from metamodel.tables.split_groups import SplitGroups

__all__ = ["GroupData", "GroupOutcome", "Status", "Terminated"]

Status = Literal["fitted", "carried", "skipped", "failed"]


class Terminated(SystemExit):
    """Raised by a signal handler while an estimator is at work: the one exit that is not the estimator's own."""


@dataclass(frozen=True)
class GroupData:
    """The rows of one group.

    Parameters
    ----------
    key
        Canonical key: all group columns, or a prefix of them for a parent, or nothing for the global model.
    x
        Features, shape (n_rows, n_features): a matrix or a frame.
    y
        Target, shape (n_rows,); may hold nulls.
    hashes
        From `row_hashes`, shape (n_rows,).
    times
        From `splits.time_order`, or None for a random holdout.
    weights
        From `weights.row_weights`, or None for equal ones.
    children
        From `holdout.child_ids`: which group of all columns each row is of. None where all are of one.
    split_groups
        Rows that have to stay together in every split; None where each stands for itself.
    contents
        From `value_hashes`, by which rows are known that an earlier child has seen; None where nobody asks.
    """

    key: GroupKey
    x: AnyArray | pd.DataFrame
    y: AnyArray
    hashes: HashArray
    times: AnyArray | None = None
    weights: AnyArray | None = None
    children: IntArray | None = None
    split_groups: SplitGroups | None = None
    contents: HashArray | None = None

    @property
    def draw_hashes(self) -> HashArray:
        """Hashes by which rows are drawn, shape (n_rows,): one for all rows that have to stay together."""
        return self.hashes if self.split_groups is None else self.split_groups.hashes

    def take(self, rows: BoolArray | IntArray) -> "GroupData":
        """Keep the rows for which a mask of shape (n_rows,) is true, or those at some positions, in their order."""
        every: tuple[Any, ...] = (self.times, self.weights, self.children, self.split_groups, self.contents)
        others = (None if values is None else values[rows] for values in every)
        return GroupData(self.key, _rows_of(self.x, rows), self.y[rows], self.hashes[rows], *others)


@dataclass(frozen=True)
class GroupOutcome:
    """What became of one group; `child` is None unless `status` is "fitted".

    Attributes
    ----------
    reason
        Empty, or one word for machines with its figures behind it: "min_rows: ...", "constant_target", "error", ...
    facts
        Further columns of the ledger: what was chosen, how it was judged, and against what.
    holdout
        Every held-out row, with what a child that had not seen it predicted.
    tuning
        How the searches for the candidates' parameters went; `chosen` says which candidate became the child.
    contest
        How several candidates did on the held-out rows.
    """

    key: GroupKey
    status: Status
    rows: int
    reason: str = ""
    error: str = ""
    warnings: str = ""
    seconds: float = 0.0
    estimator: str = ""
    params: str = "{}"
    metrics: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    child: Any = None
    holdout: HeldOut | None = None
    tuning: Sequence[dict[str, Any]] = ()
    contest: Contest | None = None


def _rows_of(x: AnyArray | pd.DataFrame, rows: BoolArray | IntArray) -> AnyArray | pd.DataFrame:
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]
