"""How the search of one group's parameters went: one row of the table of searches."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

__all__ = ["TUNING_COLUMNS", "Found", "TuningRecord"]


@dataclass(frozen=True)
class TuningRecord:
    """How one group's search for one candidate's parameters went.

    Attributes
    ----------
    candidate, estimator
        Its name, and its class.
    trials, pruned, failed
        All of them, those ended early because they were worse than most, and those that raised or ran out of time.
    seconds
        Time for the search.
    params
        The best parameters, as the space names them; empty where nothing beats the untuned ones.
    rounds
        Boosting rounds of the final fit where early stopping found them.
    metric, train_score, validation_score, untuned_score
        Of the best parameters on the rows of the folds that were fitted, and on those that were not; and of the
        untuned parameters on the latter.
    gain
        How much better than the untuned parameters, in units of the metric. Negative only where rows compare otherwise
        than the metric: macro F1 is no mean over rows, so they count as for accuracy.
    gain_errors
        Gain of the best trial over the untuned parameters in standard errors; the latter stay where it is too small.
    reason
        Why the group was fitted untuned; empty where it was searched.
    latest
        Latest time that had a say in the parameters, as `splits.time_order` counts; None without a time column.
    """

    candidate: str
    estimator: str
    trials: int = 0
    pruned: int = 0
    failed: int = 0
    seconds: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)
    rounds: int | None = None
    metric: str = ""
    train_score: float = math.nan
    validation_score: float = math.nan
    untuned_score: float = math.nan
    gain: float = math.nan
    gain_errors: float = math.nan
    reason: str = ""
    latest: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


class Found(NamedTuple):
    """What a group's searches found, for its children to try first.

    Attributes
    ----------
    params
        Candidate → best parameters.
    latest
        As in `TuningRecord`, over all candidates.
    """

    params: Mapping[str, Mapping[str, Any]]
    latest: float | None = None


# Columns of the table of all searches, behind the group columns; `chosen` tells the candidate that became the child.
# `latest` is a number that only searches understand.
TUNING_COLUMNS = ("level", "chosen", *(one.name for one in fields(TuningRecord) if one.name != "latest"))
