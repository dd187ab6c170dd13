"""Which version an alias pointed at when, told by the events alone."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["AliasSpan", "alias_spans", "day_of"]


@dataclass(frozen=True)
class AliasSpan:
    """A time in which an alias pointed at one version.

    Attributes
    ----------
    version
        The version.
    start, end
        Since when and until when, in UTC; None where no event says so.
    event
        The event that began it, as a row of `events`; empty where there is none.
    """

    version: int
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    event: dict[str, Any]


def alias_spans(events: pd.DataFrame, alias: str) -> list[AliasSpan]:
    """Give the times between an alias's events, the oldest first.

    Before the first event it pointed at what that one replaced, if it replaced anything.

    Parameters
    ----------
    events
        Rows of `events`, the oldest first.
    alias
        The alias.
    """
    moves = events[events["alias"] == alias].to_dict(orient="records")
    if not moves:
        return []
    times = [pd.Timestamp(move["time"]) for move in moves]
    spans = [
        AliasSpan(int(move["version"]), start, end, move)
        for move, start, end in zip(moves, times, [*times[1:], None], strict=True)
    ]
    before = moves[0]["replaced"]
    return spans if pd.isna(before) else [AliasSpan(int(before), None, times[0], {}), *spans]


def day_of(on: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Read a day (all of it), or a moment, in UTC where no zone is said.

    Examples
    --------
    >>> [str(time) for time in day_of("2026-11-02")]
    ['2026-11-02 00:00:00+00:00', '2026-11-03 00:00:00+00:00']
    >>> [str(time) for time in day_of("2026-11-02T14:00+01:00")]
    ['2026-11-02 13:00:00+00:00', '2026-11-02 13:00:00+00:00']
    """
    time = pd.Timestamp(on)
    time = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
    whole_day = len(str(on)) <= len("2026-11-02")
    return time, time + dt.timedelta(days=1) if whole_day else time
