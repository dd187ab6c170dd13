"""`metamodel.versions`: what versions there are, who promoted which when, and what differs between two of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from metamodel.bundle.display import name_of
from metamodel.bundle.ledger_queries import keys_of, rows_of_groups
from metamodel.bundle.model import MetaModel
from metamodel.common.group_status import ANSWERED, WITH_CHILD
from metamodel.evaluation.metrics import aggregate
from metamodel.flavor.load import load_model
from metamodel.flavor.registered import aliases_of, version_of
from metamodel.lifecycle.gate_record import VERDICT_TAG
from metamodel.lifecycle.promote import APPROVAL_TAG
from metamodel.tables.keys import GroupKey
from metamodel.tracking.events import Event, EventLog, VersionTags

__all__ = ["Difference", "Versions", "version_difference", "versions"]


@dataclass(frozen=True)
class Versions:
    """A registered model's versions and what happened to them.

    Attributes
    ----------
    table
        One row a version, the newest first: `version`, `aliases`, `created`, `fitted` and `failed` groups, `gate`
        ("passed", "failed" or ""), `approved_by`, `run_id`.
    events
        One row an event, the newest first: `when`, `alias`, `version`, `replaced`, `kind`, `by`, `approved_by`, `note`,
        `group`, `group_version`, `gate`.
    by_hand
        Aliases that point where no event says that they do: they were set at logging, or by other means.
    """

    table: pd.DataFrame
    events: pd.DataFrame
    by_hand: tuple[str, ...]


def versions(name: str, *, log: EventLog | None = None) -> Versions:
    """List the versions of a registered model.

    Raises
    ------
    InputError
        There is no such registered model.
    """
    aliases = aliases_of(name)
    registered = MlflowClient().search_model_versions(f"name = '{name}'")
    rows = [_row(version, aliases) for version in sorted(registered, key=lambda version: -int(version.version))]
    events = (log or VersionTags()).of(name)
    last = {event.alias: event.version for event in events}
    by_hand = tuple(sorted(alias for alias, version in aliases.items() if last.get(alias) != version))
    return Versions(pd.DataFrame(rows, columns=_COLUMNS), _event_table(events), by_hand)


_COLUMNS = ["version", "aliases", "created", "fitted", "failed", "gate", "approved_by", "run_id"]

_EVENT_COLUMNS = [
    *("when", "alias", "version", "replaced", "kind", "by", "approved_by", "note", "group", "group_version", "gate"),
]


def _row(version: ModelVersion, aliases: dict[str, str]) -> dict[str, Any]:
    tags = version.tags
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {
        "version": int(version.version),
        "aliases": ", ".join(sorted(alias for alias, number in aliases.items() if number == str(version.version))),
        "created": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "fitted": tags.get("metamodel.groups_fitted", ""),
        "failed": tags.get("metamodel.groups_failed", ""),
        "gate": tags.get(VERDICT_TAG, ""),
        "approved_by": tags.get(APPROVAL_TAG, ""),
        "run_id": version.run_id or "",
    }


def _event_table(events: list[Event]) -> pd.DataFrame:
    rows = [{**event.to_dict(), "when": event.when.partition(".")[0] + "Z"} for event in reversed(events)]
    return pd.DataFrame(rows, columns=_EVENT_COLUMNS)


@dataclass(frozen=True)
class Difference:
    """What differs between two versions.

    Attributes
    ----------
    groups
        One row a group that is not the same child in both, those that lost theirs first: `group`, `change` ("lost",
        "new", "retrained"), `before` and `after` (its status in both), `reason`: why it has no child any more, or why
        it was trained.
    counts
        How many groups are new, retrained, kept (the same bytes) and lost.
    metrics
        One row a metric of the ledgers: `metric`, `before`, `after`, `change`.
    options
        One row an option of the training that differs: `option`, `before`, `after`.
    """

    groups: pd.DataFrame
    counts: dict[str, int]
    metrics: pd.DataFrame
    options: pd.DataFrame


def version_difference(name: str, before: int | str, after: int | str) -> Difference:
    """Compare two versions of a registered model by what their bundles say; no child is opened.

    Raises
    ------
    InputError
        There is no such registered model or version.
    """
    for version in (before, after):
        version_of(name, str(version))
    old, new = (load_model(f"models:/{name}/{version}") for version in (before, after))
    groups, counts = _groups(old, new)
    return Difference(groups, counts, _metrics(old, new), pd.DataFrame(_options(old, new), columns=_CHANGED))


_CHANGED = ["option", "before", "after"]


def _groups(old: MetaModel, new: MetaModel) -> tuple[pd.DataFrame, dict[str, int]]:
    earlier, later = _children(old), _children(new)
    counts = dict.fromkeys(("new", "retrained", "kept", "lost"), 0)
    rows = []
    for key in [*later, *(key for key in earlier if key not in later)]:
        (was, digest_before, *_), (is_now, digest_after, gone, trained) = (
            facts.get(key, _NO_ROW) for facts in (earlier, later)
        )
        had, has = was in ANSWERED, is_now in ANSWERED
        if not (had or has):
            continue
        kind = "new" if not had else "lost" if not has else "kept" if digest_before == digest_after else "retrained"
        counts[kind] += 1
        if kind != "kept":
            rows.append((name_of(key), kind, was, is_now, gone if kind == "lost" else trained))
    rows.sort(key=lambda row: row[1])  # by alphabet: lost, new, retrained
    return pd.DataFrame(rows, columns=["group", "change", "before", "after", "reason"]), counts


_NO_ROW = ("", "", "", "")


def _children(model: MetaModel) -> dict[GroupKey, tuple[str, str, str, str]]:
    """Key of every group → its status, the digest of its child, why it has none, and why it was trained."""
    keys = model.manifest.keys
    ledger = model.bundle.read_ledger([*keys.names, "level", "status", "sha256", "reason", "error", "retrain_reason"])
    children = rows_of_groups(ledger, len(keys.columns))
    gone = children["error"].where(children["error"] != "", children["reason"])
    columns = (children["status"], children["sha256"], gone, children["retrain_reason"])
    facts = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(keys_of(children, keys), facts, strict=True))


def _metrics(old: MetaModel, new: MetaModel) -> pd.DataFrame:
    before, after = (_aggregates(model) for model in (old, new))
    rows = [
        {"metric": name, "before": before.get(name), "after": after.get(name)}
        for name in [*before, *(name for name in after if name not in before)]
    ]
    table = pd.DataFrame(rows, columns=["metric", "before", "after"]).astype({"before": float, "after": float})
    return table.assign(change=table["after"] / table["before"] - 1)


def _aggregates(model: MetaModel) -> dict[str, float]:
    ledger, task = model.ledger, model.manifest.target.task
    children = ledger[(ledger["level"] == len(model.manifest.keys.columns)) & ledger["status"].isin(WITH_CHILD)]
    if not any(name.startswith("holdout_") for name in children):
        return {}
    figures = aggregate(children, task)
    medians = {name: value for name, value in figures.items() if name.endswith(("_median", "_p90"))}
    skill = children["skill"].dropna()
    return {**({"skill_median": float(skill.median())} if len(skill) else {}), **medians}


def _options(old: MetaModel, new: MetaModel) -> Iterator[dict[str, str]]:
    before, after = (_told(model) for model in (old, new))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield {"option": name, "before": before.get(name, ""), "after": after.get(name, "")}


def _told(model: MetaModel) -> dict[str, str]:
    manifest = model.manifest
    told = {name: str(value) for name, value in manifest.options.items() if name not in ("candidates", "n_jobs")}
    for name, described in manifest.options["candidates"].items():
        told[f"candidate {name}"] = f"{described.get('estimator')} {described.get('params')}"
    return {**told, "features": ", ".join(manifest.features.names)}
