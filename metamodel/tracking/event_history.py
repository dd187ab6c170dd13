"""Events in the history beside the tags of the versions, where a history is configured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamodel.common.progress import say
from metamodel.common.uris import redacted
from metamodel.exceptions import MetaModelError
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.events import Event, EventLog, VersionTags

__all__ = ["TagsAndHistory", "event_cells", "event_log"]


def event_log(history: str | Path | None = None) -> EventLog:
    """Choose where events are kept: as tags of the versions, and in the history where one is configured.

    Raises
    ------
    InputError
        It is no history, or nobody may write there.
    """
    store = HistoryStore.configured(history)
    if store is None:
        return VersionTags()
    store.check_writable()
    return TagsAndHistory(store)


class TagsAndHistory:
    """Keeps an event as a tag first, which is what counts, and then in the history."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store
        self._tags = VersionTags()

    def append(self, event: Event) -> None:
        """Keep an event; one that is there already stays as it is."""
        self._tags.append(event)
        try:
            self._store.append_event(event_cells(event))
        except MetaModelError as error:
            say(
                f"{event.name!r} has its alias {event.alias!r} at version {event.version}, "
                f"but the event is missing in the history ({redacted(str(error))}) "
                f"Add it with: metamodel history {event.name} --rebuild --history {redacted(self._store.place)}"
            )

    def of(self, name: str) -> list[Event]:
        """Give all events of a registered model, the oldest first."""
        return self._tags.of(name)


def event_cells(event: Event) -> Mapping[str, Any]:
    """Give the values of the columns of `events`."""
    numbers = {name: int(text) if text else None for name, text in _numbers(event).items()}
    facts = {name: getattr(event, name) for name in ("id", "kind", "alias", "gate", "approved_by", "note")}
    named = {"model": event.name, "time": event.when, "done_by": event.by, "key": event.group}
    return {**facts, **named, **numbers}


def _numbers(event: Event) -> dict[str, str]:
    return {"version": event.version, "replaced": event.replaced, "group_version": event.group_version}
