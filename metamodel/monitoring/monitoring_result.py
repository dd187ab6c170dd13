"""What came of monitoring one window: tables, a sentence, and files for people, schedulers and the next update."""

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from metamodel.bundle.display import preformatted
from metamodel.common.messages import count
from metamodel.common.whole_files import whole_file
from metamodel.report.monitoring_page import render_monitoring

__all__ = ["Monitoring"]

_TABLES = ("groups", "columns", "cells", "slices", "incidents", "retrain")


_TOO_FEW = "no group has enough rows to be tested by itself, parents alone were"


@dataclass(frozen=True)
class Monitoring:
    """One window, judged.

    Attributes
    ----------
    groups, columns, cells, slices, incidents, retrain
        See docs/monitoring.md: one row a group; a column; a changed column of a group; a parent and column; an
        incident; a group to retrain.
    facts
        `window`, `model`, `version`, `baseline`, `rows`, `labelled`, `windows_relabelled`, and how it was tested.
    notes
        What could not be looked at, and why.
    drawn
        Distributions of the worst groups' changed columns, see `drawn_cells`.
    history
        Errors and labels of the window and of those before it, see `error_history`.
    """

    groups: pd.DataFrame = field(repr=False)
    columns: pd.DataFrame = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    slices: pd.DataFrame = field(repr=False)
    incidents: pd.DataFrame = field(repr=False)
    retrain: pd.DataFrame = field(repr=False)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drawn: list[dict[str, Any]] = field(default_factory=list, repr=False)
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def has_incident(self) -> bool:
        """Whether a person should look first, because something blocks that nobody has acknowledged.

        Groups that changed each for itself are what an update is for, and stop no job.
        """
        return self._open > 0

    @property
    def _open(self) -> int:
        return int((self.incidents["blocks"] & ~self.incidents["acknowledged"]).sum())

    @cached_property
    def sentence(self) -> str:
        """What happened, in one sentence."""
        status = self.groups["status"].value_counts()
        errors, rows = int(status.get("performance", 0)), int(status.get("drift", 0))
        tested = errors + rows + int(status.get("ok", 0))
        changed = f"{errors + rows:,} of {tested:,} tested groups changed" if tested else _TOO_FEW
        detail = f" ({errors:,} in their errors)" if errors else ""
        incidents = f"; {count(self._open, 'incident')} for somebody to look at" if self._open else ""
        blocked = int(self.retrain["blocked"].sum()) if len(self.retrain) else 0
        waiting = f", {blocked:,} more blocked" if blocked else ""
        free = len(self.retrain) - blocked
        return f"{self.facts['window']}: {changed}{detail}{incidents}; {count(free, 'group')} to retrain{waiting}."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, without the tables that have a row a group."""
        listed = self.retrain["blocked"] if len(self.retrain) else pd.Series(dtype=bool)
        return {
            **self.facts,
            "sentence": self.sentence,
            "groups": {name: int(number) for name, number in self.groups["status"].value_counts().items()},
            "answered_by": {name: int(number) for name, number in self.groups["answered_by"].value_counts().items()},
            "incidents": [_plain(row) for row in self.incidents.to_dict(orient="records")],
            "columns": [_plain(row) for row in self.columns.to_dict(orient="records")],
            "retrain": {"listed": len(listed), "blocked": int(listed.sum())},
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Strict JSON; null for what is missing or infinite."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """One page for people, complete without a network."""
        tables = {name: getattr(self, name) for name in _TABLES}
        facts = {**self.facts, "sentence": self.sentence, "notes": list(self.notes)}
        return render_monitoring(tables, facts, self.drawn, self.history)

    def to_prometheus(self) -> str:
        """Figures in Prometheus' text format, for a textfile collector."""
        registry = CollectorRegistry()
        groups = Gauge("metamodel_monitor_groups", "Groups by status", ["status"], registry=registry)
        for name, number in self.groups["status"].value_counts().items():
            groups.labels(name).set(number)
        incidents = Gauge(
            "metamodel_monitor_incidents", "Incidents that nobody acknowledged", ["kind"], registry=registry
        )
        for name, number in self.incidents.loc[~self.incidents["acknowledged"], "kind"].value_counts().items():
            incidents.labels(name).set(number)
        changed = Gauge(
            "metamodel_monitor_column_changed", "Groups in which a column changed", ["column"], registry=registry
        )
        for name, number in zip(self.columns["column"], self.columns["changed"].tolist(), strict=True):
            changed.labels(name).set(number)
        for name, words, value in (
            ("rows", "Rows of the window", self.facts["rows"]),
            ("labelled", "Rows of the window with a label", self.facts["labelled"]),
            ("retrain", "Groups to retrain", self.to_dict()["retrain"]["listed"]),
            ("retrain_blocked", "Listed groups that wait for somebody", self.to_dict()["retrain"]["blocked"]),
        ):
            Gauge(f"metamodel_monitor_{name}", words, registry=registry).set(value)
        return generate_latest(registry).decode()

    def write(self, directory: str | Path) -> None:
        """Write tables as Parquet, `monitor.json`, `monitor.html` and `metrics.prom`, each whole or not at all."""
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        for name in _TABLES:
            with whole_file(path / f"{name}.parquet") as unfinished:
                getattr(self, name).to_parquet(unfinished, index=False)
        texts = {"metrics.prom": self.to_prometheus(), "monitor.html": self.to_html(), "monitor.json": self.to_json()}
        for name, text in texts.items():
            with whole_file(path / name) as unfinished:
                unfinished.write_text(text, encoding="utf-8", errors="replace")

    def __str__(self) -> str:
        marks = {True: "acknowledged", False: "open"}
        rows = self.incidents[["kind", "acknowledged", "words", "id"]].itertuples(index=False, name=None)
        lines = [f"  {kind} ({marks[bool(told)]}, {name}): {words}" for kind, told, words, name in rows]
        return "\n".join([self.sentence, *lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def _plain(record: dict[Any, Any]) -> dict[str, Any]:
    plain = {str(name): value.item() if hasattr(value, "item") else value for name, value in record.items()}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in plain.items()
    }
