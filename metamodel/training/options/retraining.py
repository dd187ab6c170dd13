"""The options of a training that goes on from a version before: who is retrained, and who is carried over."""

from dataclasses import dataclass
from typing import Any

from metamodel.common.option import option

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
    keep_missing: Any = option(
        "52w", decisive=False, help="How long groups that are gone from the table keep their child."
    )
