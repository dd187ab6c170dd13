"""The options of a training that goes on from a version before: who is retrained, and who is carried over."""

from dataclasses import dataclass
from typing import Any, get_args

from metamodel.common.choices import Evidence
from metamodel.common.option import option
from metamodel.training.options.validators import switch

__all__ = ["Retraining"]


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """Which groups are retrained; the others are carried over from the model before."""

    retrain: Any = option(
        None,
        form="names",
        decisive=False,
        help="Retrain only these groups, carry the others over: all, new, failed, stale, changed, listed.",
    )
    max_age: Any = option(None, decisive=False, help="Groups are stale beyond this age: 8w, 10d, 12h.")
    min_new_rows: float | None = option(
        None, form="number", decisive=False, help="Groups are stale with more new rows: a share (0.2) or a number."
    )
    retrain_list: Any = option(
        None, form="table", decisive=False, help="File of groups to retrain: group columns, or key, and reasons."
    )
    challenge: bool = option(
        True,
        form="switch",
        check=switch,
        decisive=False,
        help="A new child has to win against the one before, on fresh rows.",
    )
    evidence: Evidence = option(
        "pooled", choices=get_args(Evidence), decisive=False, help="Who wins: by pooled, own or worse."
    )
    min_gain: float = option(0.0, form="number", decisive=False, help="Gain from which on a new child wins.")
    keep_missing: Any = option(
        "52w", decisive=False, help="How long groups that are gone from the table keep their child."
    )
