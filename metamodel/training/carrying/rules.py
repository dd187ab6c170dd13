"""Which groups are retrained, and why: plain facts of the version before and of the table in, words for the ledger out.

Ages are counted in the table's own time where it has one, from the newest row that the child saw to the newest one of
its group now, so that the same call gives the same answer on any day. Where there is no such time they are counted
from the day of the training to today.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from metamodel.common.messages import listing, short
from metamodel.common.times import duration_text, microseconds_in
from metamodel.exceptions import InputError

__all__ = ["RULES", "Earlier", "Present", "Rules", "why_retrain"]

RULES = ("all", "new", "failed", "stale", "changed", "listed")


class Earlier(NamedTuple):
    """What the version before knows of a group.

    Attributes
    ----------
    has_child
        Whether it has one whose bytes are intact.
    damaged
        Whether it has one whose bytes are not.
    failed
        Whether its last fit failed, whoever answers for it.
    pooled
        Whether the pooled model answers it, so that it needs no child.
    fingerprint, rows_seen
        Digest and number of its rows then.
    through, trained_at
        The newest row that its child saw, and when it was fitted, in microseconds; None where it is not known.
    """

    has_child: bool
    damaged: bool = False
    failed: bool = False
    pooled: bool = False
    fingerprint: str = ""
    rows_seen: int = 0
    through: float | int | None = None
    trained_at: int | None = None


class Present(NamedTuple):
    """What the table says of a group: its rows, those newer than `Earlier.through`, its newest one, and its digest.

    `fresh` and `newest` are None without a time column, `fingerprint` is empty where nobody asks for it.
    """

    rows: int
    fresh: int | None = None
    newest: float | int | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class Rules:
    """What is asked for.

    Attributes
    ----------
    names
        Of `RULES`.
    max_age
        In microseconds.
    min_new_rows
        Below 1 a share of the rows that the child saw, else a number of rows.
    listed
        Encoded key → why, of groups that somebody wants retrained.
    other_spec
        Whether this training fits otherwise than the one before.
    now
        Today, in microseconds.
    dated
        Whether the table's times are points of the calendar.
    """

    names: frozenset[str]
    max_age: int | None = None
    min_new_rows: float | None = None
    listed: Mapping[str, str] = field(default_factory=dict)
    other_spec: bool = False
    now: int = 0
    dated: bool = False

    @classmethod
    def checked(cls, names: Collection[str] | str, max_age: object, min_new_rows: object) -> "Rules":
        """Check what a caller asks for.

        Raises
        ------
        InputError
            A rule is unknown, or has no limit to go by, or a limit is none.
        """
        if not isinstance(names, Collection):
            raise InputError(f"retrain={short(names)} names no rule. Use some of: {', '.join(RULES)}.")
        given = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else tuple(names)
        if odd := [name for name in given if name not in RULES]:
            raise InputError(f"retrain names {listing(map(short, odd))}. Use some of: {', '.join(RULES)}.")
        if not given:
            raise InputError(f"retrain names no rule. Use some of: {', '.join(RULES)}.")
        rows = min_new_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int | float) or not rows > 0):
            raise InputError(f"min_new_rows={short(rows)} is no number of rows. Give a share such as 0.2, or a number.")
        for name, value in (("max_age", max_age), ("min_new_rows", min_new_rows)):
            if value not in (None, "") and "stale" not in given:
                raise InputError(f'{name}={short(value)} says when a group is stale. Add "stale" to retrain.')
        return cls(frozenset(given), microseconds_in(max_age, "max_age"), rows)


def why_retrain(key: str, rules: Rules, earlier: Earlier | None, present: Present) -> str:
    """Say why a group is retrained; empty where it is not.

    Examples
    --------
    >>> weekly = Rules.checked(("new", "failed", "stale"), None, 0.2)
    >>> why_retrain("[1]", weekly, None, Present(12))
    'new'
    >>> why_retrain("[1]", weekly, Earlier(True, rows_seen=100), Present(131, fresh=31))
    'rows: +31 %'
    >>> why_retrain("[1]", weekly, Earlier(True, rows_seen=100), Present(104, fresh=4))
    ''
    """
    if earlier is not None and earlier.damaged:
        return "damaged"
    if key in rules.listed:
        return rules.listed[key]
    reason, names = "", rules.names
    if "failed" in names and earlier is not None and earlier.failed:
        reason = "failed"
    elif "new" in names and (earlier is None or not (earlier.has_child or earlier.failed or earlier.pooled)):
        reason = "new"
    if not reason and "stale" in names and earlier is not None and earlier.has_child:
        reason = _why_stale(rules, earlier, present)
    if not reason and "changed" in names and earlier is not None:
        reason = _why_changed(rules, earlier, present)
    return reason or ("all" if "all" in names else "")


def _why_changed(rules: Rules, earlier: Earlier, present: Present) -> str:
    if rules.other_spec:
        return "changed: trained otherwise"
    return "changed: other rows" if earlier.fingerprint != present.fingerprint else ""


def _why_stale(rules: Rules, earlier: Earlier, present: Present) -> str:
    if rules.max_age is not None and (age := _age(rules, earlier, present)) is not None and age > rules.max_age:
        return f"stale: {duration_text(age)}"
    if rules.min_new_rows is None:
        return ""
    more = present.rows - earlier.rows_seen if present.fresh is None else present.fresh
    if rules.min_new_rows >= 1:
        return f"rows: +{more}" if more > rules.min_new_rows else ""
    share = more / max(1, earlier.rows_seen)
    return f"rows: +{share:.0%}".replace("%", " %") if share > rules.min_new_rows else ""


def _age(rules: Rules, earlier: Earlier, present: Present) -> int | None:
    if rules.dated and earlier.through is not None and present.newest is not None:
        return int(present.newest - earlier.through)
    return None if earlier.trained_at is None else rules.now - earlier.trained_at
