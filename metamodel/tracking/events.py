"""What happened to the versions of a registered model: each event once, kept where whoever sees a version sees it.

MLflow keeps no history of aliases, so the events are tags of the versions themselves. Whoever wants to keep them
elsewhere too gives an `EventLog` of their own.
"""

import getpass
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from mlflow import MlflowClient

from metamodel.tracking.registry_writes import set_version_tag

__all__ = ["PROMOTION_TAG", "Event", "EventLog", "VersionTags", "later_than", "who"]

# The last promotion of a version, for people who look at it in MLflow's page.
PROMOTION_TAG = "metamodel.promotion"

_EVENT_TAG = "metamodel.event."


@dataclass(frozen=True, kw_only=True)
class Event:
    """An alias was moved.

    Attributes
    ----------
    kind
        "promote", "rollback", "rollout": a roll-out begins, or gets another fraction; "register": the version was
        registered with the alias.
    name, alias, version
        Of which registered model which alias points at which version since.
    replaced
        The version that it pointed at before; "" where it was new.
    by, when
        Who did it, and the time in UTC.
    gate
        Digest of the gate's report that allowed it; "" without.
    approved_by, note
        Who had approved the version, and what for; "" without.
    group, group_version
        Of a rollback of one group: its encoded key, and the version that its child is from.
    id
        Names this event alone: writing it twice changes nothing.
    """

    kind: str
    name: str
    alias: str
    version: str
    replaced: str
    by: str
    when: str
    gate: str = ""
    approved_by: str = ""
    note: str = ""
    group: str = ""
    group_version: str = ""
    id: str

    @classmethod
    def now(cls, **facts: Any) -> Self:
        """Make an event that happens now, by whoever runs this."""
        when = datetime.now(UTC).isoformat(timespec="microseconds")
        return cls(**{"by": who(), "when": when, "id": uuid.uuid4().hex[:12], **facts})

    def to_json(self) -> str:
        """Write what a tag holds: what is empty is left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Inverse of `to_json`; None of what is no event, such as a tag that a person wrote."""
        try:
            described = json.loads(text)
            empty = {field.name: "" for field in fields(cls)}
            event = cls(**{**empty, **described})
        except (ValueError, TypeError):
            return None
        return event if event.id and event.version and event.alias else None

    def to_dict(self) -> dict[str, str]:
        """Plain JSON form."""
        return asdict(self)

    def with_note(self, approved_by: str, note: str) -> "Event":
        """Say who approved it."""
        return replace(self, approved_by=approved_by, note=note)


class EventLog(Protocol):
    """Where events are kept."""

    def append(self, event: Event) -> None:
        """Keep an event; one that is there already stays as it is."""
        ...

    def of(self, name: str) -> list[Event]:
        """Give all events of a registered model, the oldest first."""
        ...


class VersionTags:
    """Keeps each event as a tag of the version that it is about."""

    def append(self, event: Event) -> None:
        """Keep an event."""
        set_version_tag(event.name, event.version, f"{_EVENT_TAG}{event.id}", event.to_json())

    def of(self, name: str) -> list[Event]:
        """Give all events of a registered model, the oldest first."""
        versions = MlflowClient().search_model_versions(f"name = '{name}'")
        tags = [(key, text) for version in versions for key, text in version.tags.items()]
        read = [Event.from_json(text) for key, text in tags if key.startswith(_EVENT_TAG)]
        return sorted((event for event in read if event is not None), key=lambda event: (event.when, event.id))


def later_than(events: Sequence[Event]) -> str:
    """Give the time now, behind all events, whatever the clock of the machine that wrote them."""
    last = max((event.when for event in events), default="")
    now = datetime.now(UTC)
    if last >= now.isoformat(timespec="microseconds"):
        now = datetime.fromisoformat(last) + timedelta(microseconds=1)
    return now.isoformat(timespec="microseconds")


def who() -> str:
    """Name whoever runs this."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "unknown"
