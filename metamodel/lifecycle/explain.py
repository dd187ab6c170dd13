"""`metamodel.explain`: which child answered for a group on a day, what it had seen, how good it was."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.display import preformatted
from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.flavor.registered import aliases_of
from metamodel.lifecycle.explain_words import reasons, told
from metamodel.lineage.alias_spans import AliasSpan, alias_spans, day_of
from metamodel.lineage.group_past import alarms_of, events_of, group_past, key_in, parents_of, versions_of
from metamodel.lineage.history_store import HistoryStore
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["Explanation", "explain"]

_URI = re.compile(r"models:/(?P<name>[^/@:]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+)?)?")


@dataclass(frozen=True)
class Explanation:
    """Who answered for a group, and what is known of it; `print` tells it.

    Attributes
    ----------
    group
        The group's encoded key.
    on
        The day, or the moment.
    answered
        One row a version that answered then, the oldest first: `version`, `alias`, `since`, `done_by`, `approved_by`,
        `note`, `gate`; the group's `status`, `decision`, `retrain_reason`, `reason` and `error` in it; and of the child
        that answered (`answered_by`: its key, "pooled" or "nobody") what `versions` says.
    versions
        One row a version of the history: the group's child in it, when and on which data that was trained, and how
        good it is.
    alarms
        Windows in which monitoring raised an alarm over the group.
    reasons
        What may have made the answers bad, in words.
    """

    group: str
    on: str
    answered: pd.DataFrame
    versions: pd.DataFrame
    alarms: pd.DataFrame
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        tables = {"answered": self.answered, "versions": self.versions, "alarms": self.alarms}
        return {"group": self.group, "on": self.on, "reasons": list(self.reasons), **tables}

    def __str__(self) -> str:
        return told(self.group, self.on, self.answered, self.reasons)

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def explain(model: str, group: Any, on: Any = None, *, history: str | Path | None = None) -> Explanation:
    """Say which child answered for a group on a day, and what may have made its answers bad; no model is opened.

    Parameters
    ----------
    model
        ``models:/sales`` (its champion), ``models:/sales@challenger``, or one version: ``models:/sales/8``.
    group
        The group's key, as a tuple or as text (``["FR", 7]``, ``FR,7``).
    on
        A day, or a moment (UTC where no zone is said); by default now.
    history
        Folder or address of the history; by default METAMODEL_HISTORY.

    Raises
    ------
    InputError
        There is no history, no such model or version in it, `on` is no time, or the alias pointed at nothing then.
    """
    named = _URI.fullmatch(str(model).rstrip("/"))
    if named is None:
        raise InputError(f"{short(str(model))} names no registered model. Give models:/NAME, models:/NAME@ALIAS or /8.")
    begin, end = _asked(on)
    store = HistoryStore.needed(history)
    versions = versions_of(store, named["name"])
    key = key_in(versions, group)
    alias = named["alias"] or "champion"
    spans = _spans(store, named["name"], alias, named["version"], (begin, end))
    if named["version"] is None:
        _check_made(spans[-1], versions, end, f"The alias {alias!r} of {named['name']!r}")
    past = group_past(store, versions, parents_of(key))
    if past.empty:
        raise InputError(f"No version of {named['name']!r} in the history knows group {list(key)}. Check the key.")
    answered = pd.DataFrame([_answered(span, key, versions, past) for span in spans])
    of_group = past[past["key"] == encode_key(key)].drop(columns=["key", "level"]).reset_index(drop=True)
    alarms = alarms_of(store, named["name"], key)
    said = tuple(reasons(answered.iloc[-1], of_group, end, alarms))
    return Explanation(encode_key(key), str(on or "now"), answered, of_group, alarms, said)


def _asked(on: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    if on is None or on == "":
        now = pd.Timestamp.now("UTC")
        return now, now
    try:
        return day_of(on)
    except (ValueError, TypeError) as error:
        raise InputError(f"on={short(on)} is no day and no time. Give one such as 2026-11-02.") from error


def _spans(
    store: HistoryStore, name: str, alias: str, version: str | None, asked: tuple[pd.Timestamp, pd.Timestamp]
) -> list[AliasSpan]:
    """Find what answered in a time: a version that was named, or all that the alias pointed at."""
    if version is not None:
        return [AliasSpan(int(version), None, None, {})]
    spans = alias_spans(events_of(store, name), alias)
    if not spans:  # it was set by other means, and nobody wrote down when
        return [AliasSpan(int(aliases_of(name, wanted=alias)[alias]), None, None, {"alias": alias})]
    begin, end = asked
    within = [
        span for span in spans if (span.start is None or span.start <= end) and (span.end is None or span.end > begin)
    ]
    if not within:
        first = "" if spans[0].start is None else spans[0].start.isoformat(timespec="seconds")
        raise InputError(
            f"The alias {alias!r} of {name!r} pointed at no version then: it was first set at {first}. "
            f"Ask for a later time, or for one version (models:/{name}/{spans[0].version})."
        )
    return within


def _check_made(span: AliasSpan, versions: pd.DataFrame, end: pd.Timestamp, alias: str) -> None:
    """Refuse to name a version that no event dates, and that was made later."""
    created = versions.loc[versions["version"] == span.version, "created"]
    if span.start is None and not created.empty and pd.Timestamp(created.iloc[0]) > end:
        raise InputError(
            f"{alias} pointed at no version then that is known: version {span.version}, the first, was made at "
            f"{created.iloc[0]}. Ask for a later time."
        )


def _answered(span: AliasSpan, key: GroupKey, versions: pd.DataFrame, past: pd.DataFrame) -> dict[str, Any]:
    """Find whose child answered for a group in a version: its own, or the nearest parent's in the fallback chain."""
    told = {name: span.event.get(name) or "" for name in ("alias", "done_by", "approved_by", "note", "gate")}
    facts = {
        "version": span.version,
        "since": "" if span.start is None else span.start.isoformat(timespec="seconds"),
        **told,
    }
    of_version = versions[versions["version"] == span.version]
    if of_version.empty:
        return {**facts, "status": "not in the history", "answered_by": "unknown"}
    rows = past[past["version"] == span.version].set_index("key")
    of_group = rows.loc[encode_key(key)].to_dict() if encode_key(key) in rows.index else {"status": "unknown"}
    group = {name: of_group.get(name, "") for name in ("status", "decision", "retrain_reason", "reason", "error")}
    chain = json.loads(of_version["chain"].iloc[0])
    whose, row = _whose(key, rows, str(group["status"]), chain)
    of_child = {} if row is None else {name: row[name] for name in row.index[row.index.get_loc("sha256") :]}
    return {**facts, **group, "answered_by": whose, **of_child}


def _whose(key: GroupKey, rows: pd.DataFrame, status: str, chain: list[int]) -> tuple[str, Any]:
    if status == "pooled":
        return "pooled", None
    levels = [len(key), *(level for level in chain if level < len(key))]
    for level in levels:
        text = encode_key(key[:level]) if level >= 0 else ""
        if text in rows.index and rows.loc[text, "sha256"]:
            return text, rows.loc[text]
        if level < 0:
            return "pooled", None
    return "nobody", None
