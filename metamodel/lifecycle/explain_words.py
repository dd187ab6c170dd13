"""What an explanation says in words."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from metamodel.bundle.display import number_text
from metamodel.common.messages import count
from metamodel.common.times import duration_text
from metamodel.lineage.group_past import name_of_text

__all__ = ["reasons", "told"]

# A child, or its newest row, that is older than that is told of.
_OLD_WEEKS = 8


def told(group: str, on: str, answered: pd.DataFrame, said: Sequence[str]) -> str:
    """Tell all of it, the version that answered last first."""
    lines = [f"group {group}, {on}"]
    for row in reversed(answered.to_dict(orient="records")):
        lines += [f"  {name:<16} {text}" for name, text in _lines(row) if text]
    return "\n".join([*lines, *(f"  - {reason}" for reason in said)])


def _lines(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "version", f"{row['version']}{_promotion(row)}"
    status = dict.fromkeys([row["status"], _text(row, "decision"), _text(row, "retrain_reason")])
    yield "status", "; ".join(filter(None, status))
    yield "answered by", name_of_text(row["answered_by"]) if row["answered_by"].startswith("[") else row["answered_by"]
    if not _text(row, "sha256"):
        return
    yield "child", f"{row['sha256'][:12]} {row['estimator']}, first in version {row['child_version']}"
    yield "trained", f"{_text(row, 'trained_at')} on {count(int(row['rows']), 'row')}{_through(row)}"
    yield "data", ", ".join(filter(None, [_text(row, "data_source"), _text(row, "data_digest")]))
    yield "run", _text(row, "run_id")
    yield "held-out error", held_out_text(row)


def _promotion(row: dict[str, Any]) -> str:
    if not row.get("done_by"):
        return f", {row['alias']} (set by other means than metamodel promote)" if row.get("alias") else ""
    approved = f", approved by {row['approved_by']}" if row["approved_by"] else ""
    note = f": {row['note']}" if row["note"] else ""
    gate = ", gate passed" if row["gate"] else ""
    return f", {row['alias']} since {row['since']} by {row['done_by']}{approved}{note}{gate}"


def _through(row: dict[str, Any]) -> str:
    through = _text(row, "data_through").removesuffix(".000000").removesuffix("T00:00:00")
    return f", data through {through}" if through else ""


def held_out_text(row: Any) -> str:
    """Tell a child's held-out error beside its baseline's."""
    name = next(str(name) for name in row if str(name).startswith("holdout_"))
    if pd.isna(row[name]):
        return "unknown: no rows were held out"
    baseline = row[name.replace("holdout_", "baseline_")]
    beside = "" if pd.isna(baseline) else f" (baseline {row['baseline']}: {number_text(baseline)})"
    return f"{name.removeprefix('holdout_')} {number_text(row[name])}{beside}"


def _text(row: Any, name: str) -> str:
    value = row.get(name, "")
    return "" if pd.isna(value) else str(value)


def reasons(row: pd.Series, past: pd.DataFrame, on: pd.Timestamp, alarms: pd.DataFrame) -> Iterator[str]:
    """Say what may have made answers bad.

    Parameters
    ----------
    row
        The last row of `Explanation.answered`.
    past
        `Explanation.versions`.
    on
        When it answered.
    alarms
        `Explanation.alarms`.
    """
    if row["answered_by"] == "unknown":
        yield f"Version {row['version']} is not in the history. Add it with --rebuild."
        return
    yield from _of_fallback(row)
    if _text(row, "sha256"):
        yield from _of_child(row, on)
    if _text(row, "decision") == "incumbent_kept":
        yield f"A new child was fitted for version {row['version']}, and lost against the one that stayed."
    yield from _of_next_child(row, past)
    for alarm in alarms.to_dict(orient="records"):
        columns = f" in {alarm['columns']}" if alarm["columns"] else ""
        yield f"Monitoring raised an alarm in window {alarm['window']}: {alarm['status']}{columns}."


def _of_fallback(row: pd.Series) -> Iterator[str]:
    if row["status"] in ("fitted", "carried", "referenced"):
        return
    why = "; ".join(filter(None, [_text(row, "reason"), _text(row, "error")]))
    whom = {"nobody": "nobody answered", "pooled": "the pooled model answered"}
    answered = whom.get(row["answered_by"]) or f"its parent answered ({name_of_text(row['answered_by'])})"
    yield f"The group had no child of its own ({row['status']}{': ' if why else ''}{why}): {answered}."


def _of_child(row: pd.Series, on: pd.Timestamp) -> Iterator[str]:
    if not pd.isna(row["skill"]) and row["skill"] <= 0:
        yield f"On held-out rows the child was no better than the baseline (skill {number_text(row['skill'])})."
    for name, what in (("data_through", "The newest row that the child saw"), ("trained_at", "The child")):
        time = _time(_text(row, name))
        if time is None or not time < on:
            continue
        age = on - time
        if age >= dt.timedelta(weeks=_OLD_WEEKS):
            yield f"{what} was {duration_text(int(age / dt.timedelta(microseconds=1)))} old."
        return


def _of_next_child(row: pd.Series, past: pd.DataFrame) -> Iterator[str]:
    """Say which child came after the one that answered, and whether it is better."""
    later = past[(past["version"] > row["version"]) & (past["sha256"] != row.get("sha256", ""))]
    later = later[later["sha256"] != ""]
    if later.empty:
        return
    after = later.iloc[0].to_dict()
    why = f" ({after['retrain_reason']})" if after["retrain_reason"] else ""
    yield f"Version {after['version']} has another child{why}: {held_out_text(after)}."


def _time(text: str) -> pd.Timestamp | None:
    """Read a time; None where the time column holds numbers."""
    if "T" not in text:
        return None
    time = pd.Timestamp(text)
    return time.tz_localize("UTC") if time.tzinfo is None else time
