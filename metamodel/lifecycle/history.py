"""`metamodel.history`: what a history says of a model and its groups; and making it again from the registry."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient

from metamodel.common.progress import say
from metamodel.exceptions import BundleError, InputError
from metamodel.flavor.logged_ledger import read_logged_ledger
from metamodel.flavor.registered import aliases_of
from metamodel.lineage.group_past import events_of, group_past, key_in, versions_of
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.event_history import event_cells
from metamodel.tracking.events import VersionTags
from metamodel.tracking.record_generation import generation_of

__all__ = ["history", "rebuild_history"]

_OF_VERSION = [
    *("version", "created", "promoted", "groups", "fitted", "carried", "pooled", "skipped", "failed", "retired"),
    *("new_children", "run_id", "data_source", "data_digest", "data_version"),
]


def history(
    name: str, *, group: Any = None, sql: str | None = None, rebuild: bool = False, history: str | Path | None = None
) -> pd.DataFrame:
    """Ask the history of a registered model.

    Parameters
    ----------
    name
        The registered model.
    group
        A group's key, as a tuple or as text (``["FR", 7]``, ``FR,7``): a row for every version, with the child that the
        group had in it, when and on which data that was trained, and how good it is.
    sql
        A question to the tables `versions`, `lineage`, `children`, `events` and `monitor`, which hold what there is of
        this model; see docs/history.md.
    rebuild
        Write all registered versions and events into the history first; what is there already stays as it is.
    history
        Folder or address of the history; by default METAMODEL_HISTORY.

    Returns
    -------
    DataFrame
        By default one row a version, the oldest first, with `promoted`: what was pointed at it, when and by whom.

    Raises
    ------
    InputError
        There is no history, no such model or group in it, or the question is not understood.
    """
    if group is not None and sql is not None:
        raise InputError("--group and --sql are two questions. Leave one of both out.")
    if rebuild:
        rebuild_history(name, history)
    store = HistoryStore.needed(history)
    versions = versions_of(store, name)
    if sql is not None:
        return store.query(sql, name)
    if group is None:
        return versions.assign(promoted=_promoted(versions, events_of(store, name)))[_OF_VERSION]
    key = key_in(versions, group)
    past = group_past(store, versions, [key])
    if past.empty:
        raise InputError(f"No version of {name!r} in the history knows group {list(key)}. Check the key.")
    return past.drop(columns=["key", "level"])


def rebuild_history(name: str, history: str | Path | None = None) -> list[int]:
    """Write every registered version of a model, and every event, into the history; what stands there stays.

    Versions that are no longer registered stay in the history, and so do their events.

    Parameters
    ----------
    name
        The registered model.
    history
        As for `metamodel.history`; a new folder is made.

    Returns
    -------
    list of int
        The versions that were written.

    Raises
    ------
    InputError
        There is no such registered model, no history is given, or nobody may write there.
    """
    aliases_of(name)
    store = HistoryStore.configured(history) or HistoryStore.needed(history)
    store.check_writable()
    written: list[int] = []
    children = None
    registered = MlflowClient().search_model_versions(f"name = '{name}'")
    for version in sorted(registered, key=lambda version: int(version.version)):
        try:
            said = read_logged_ledger(f"models:/{name}/{version.version}")
        except (InputError, BundleError) as error:
            say(f"Version {version.version} of {name} is left out of the history: {error}")
            continue
        number = int(version.version)
        if written[-1:] != [number - 1]:
            children = None  # the history may hold a version between, which is no longer registered
        children = store.write_generation(generation_of(name, number, version.run_id or "", said), children)
        written.append(number)
    for event in VersionTags().of(name):
        store.append_event(event_cells(event))
    return written


def _promoted(versions: pd.DataFrame, events: pd.DataFrame) -> list[str]:
    told: dict[int, list[str]] = {}
    for event in events.to_dict(orient="records"):
        told.setdefault(event["version"], []).append(f"{event['alias']} {event['time'][:10]} {event['done_by']}")
    return ["; ".join(told.get(version, [])) for version in versions["version"].tolist()]
