"""What an update did, counted from a ledger and put into words: for the result, the run, and the report's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import keys_of, rows_of_groups
from metamodel.common.group_status import TRAINED
from metamodel.common.messages import count
from metamodel.tables.keys import KeySchema

__all__ = ["EVIDENCE", "update_counts", "update_lines"]

# By what a contest can be decided.
EVIDENCE = ("pooled", "own", "worse")

_REASONS = "groups_retrained_"


def update_counts(
    ledger: pd.DataFrame, schema: KeySchema, levels: Sequence[int], *, fallback: bool, blended: bool
) -> dict[str, float]:
    """Count what an update retrained, by the first word of the reason, who won, and what moves with the parents.

    Parameters
    ----------
    ledger, schema
        The ledger and its group columns.
    levels
        Levels of the parents, the nearest first.
    fallback, blended
        Whether parents answer for groups without a child, and whether they have a part in every answer.

    Returns
    -------
    dict
        Empty for a training from nothing.
    """
    is_group = ledger["level"] == len(schema.columns)
    groups = rows_of_groups(ledger, len(schema.columns))
    reasons = groups.loc[groups["retrain_reason"] != "", "retrain_reason"].str.extract(r"^(\w+)", expand=False).dropna()
    if not len(reasons) and not ledger["status"].isin(["carried", "retired"]).any():
        return {}
    counts = {f"{_REASONS}{word}": int(number) for word, number in reasons.value_counts().sort_index().items()}
    return {
        "groups_retrained": len(reasons),
        **counts,
        "groups_kept": int((groups["decision"] == "incumbent_kept").sum()),
        "groups_kept_by_failure": int((groups["decided_by"] == "fit").sum()),
        "groups_moved_by_parents": _moved(groups, ledger[~is_group], schema, levels, (fallback, blended)),
        **_contests(groups),
    }


def _moved(
    groups: pd.DataFrame, parents: pd.DataFrame, schema: KeySchema, levels: Sequence[int], parts: tuple[bool, bool]
) -> int:
    """Count the groups that have no new child, and whose answers move with a parent that has one."""
    fallback, blended = parts
    with_child = parents["status"].isin(TRAINED)
    new = dict(zip(keys_of(parents[with_child], schema), (parents["status"] == "fitted")[with_child], strict=True))
    carried = groups[groups["status"] == "carried"] if blended else groups[:0]
    childless = groups[groups["status"].isin(["skipped", "failed"])] if fallback else groups[:0]
    mixed = sum(any(new.get(key[:level], False) for level in levels) for key in keys_of(carried, schema))
    nearest = (
        next((key[:level] for level in levels if key[:level] in new), None) for key in keys_of(childless, schema)
    )
    return mixed + sum(parent is not None and new[parent] for parent in nearest)


def _contests(groups: pd.DataFrame) -> dict[str, float]:
    """Count who won on fresh rows, and what this version gains there over the one before; empty without a contest."""
    contests = groups[groups["decided_by"].isin(EVIDENCE)]
    if not len(contests):
        return {}
    replaced = contests[(contests["decision"] == "replaced") & contests["gain"].notna()]
    return {
        "groups_contested": len(contests),
        "groups_replaced": int((contests["decision"] == "replaced").sum()),
        "fresh_rows": int(contests["fresh_rows"].sum()),
        "fresh_gain": float(replaced["gain"].sum() / len(contests)),
        "fresh_gain_se": float(np.sqrt((replaced["gain_se"] ** 2).sum()) / len(contests)),
    }


def update_lines(counts: Mapping[str, Any], carried: int, retired: int) -> list[tuple[str, str]]:
    """Say in three lines what an update did: who was retrained and why, who won, what that gains.

    The first line counts every group once, and the second those of the first that were in a contest.

    Parameters
    ----------
    counts
        From `update_counts`; a summary that holds them will do.
    carried, retired
        Groups that keep the child they had, and that have none any more.

    Returns
    -------
    list of (str, str)
        Title and words of each line; none for a training from nothing.

    Examples
    --------
    >>> counts = {"groups_retrained": 5, "groups_retrained_stale": 5, "groups_kept": 2, "groups_kept_by_failure": 1}
    >>> update_lines({**counts, "groups_moved_by_parents": 0}, 33, 0)
    [('update', '5 groups retrained (5 stale; 1 failed and keeps its child), 31 carried as they were')]
    """
    if "groups_retrained" not in counts:
        return []
    reasons = [f"{number:,} {name[len(_REASONS) :]}" for name, number in counts.items() if name.startswith(_REASONS)]
    failed = counts["groups_kept_by_failure"]
    kept = [f"{failed:,} failed and keep{'s its child' if failed == 1 else ' their children'}"] if failed else []
    why = f" ({'; '.join([', '.join(reasons), *kept])})" if reasons else ""
    gone = f", {retired:,} retired" if retired else ""
    retrained = f"{count(counts['groups_retrained'], 'group')} retrained{why}"
    lines = [("update", f"{retrained}, {carried - counts['groups_kept']:,} carried as they were{gone}")]
    if "groups_contested" in counts:
        won = f"{counts['groups_replaced']:,} of {counts['groups_contested']:,} new children"
        rows = count(counts["fresh_rows"], "fresh row")
        gain = f"{counts['fresh_gain']:.1%} less error a group than the version before"
        keep = counts["groups_contested"] - counts["groups_replaced"]
        others = f"; {count(keep, 'group')} keep{'s' if keep == 1 else ''} the one before" if keep else ""
        lines.append(("contest", f"{won} better than the one before, on {rows}{others}"))
        lines.append(("gain", f"{gain} (standard error {counts['fresh_gain_se']:.1%}) on fresh rows"))
    if moved := counts["groups_moved_by_parents"]:
        lines.append(("parents", f"retrained: answers may move of {count(moved, 'group')} without a new child"))
    return lines
