"""Move an alias so that an interruption anywhere is made good by the same call, and two promoters do not meet.

MLflow has no compare-and-set. Whoever wants to move an alias first puts up a *claim*, a tag of the registered model
that holds the whole event, and reads all claims again, with the alias in the same answer. Of two promoters at least
one sees the other's claim; who sees one takes the own back and waits. A claim whose promoter was killed stays: the same
call takes it over with its event, whose id makes that harmless however often it is done; another promoter finishes, or
takes away, what nobody has moved for some seconds.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mlflow import MlflowClient

from metamodel.exceptions import InputError, MetaModelError
from metamodel.tracking.events import PROMOTION_TAG, Event, EventLog, later_than

__all__ = ["AliasMove", "begun", "move_alias"]

_CLAIM_TAG = "metamodel.promoting."

# A claim that stays for so long is one of a process that is dead.
LEASE_SECONDS = 15.0

_PAUSE_SECONDS = 0.25

_ATTEMPTS = 40


@dataclass(frozen=True)
class AliasMove:
    """What is wanted.

    Attributes
    ----------
    event
        The event as it will be; `replaced` and `gate` are filled in.
    expect
        Version that the alias has to point at; "" for none at all, None for any.
    check
        Given the version that the alias points at ("" for none), raises where it must not be replaced, or returns the
        digest of the gate that allows it.
    """

    event: Event
    expect: str | None
    check: Callable[[str], str]


@dataclass(frozen=True)
class _State:
    """What the registry says in one answer: where the alias points, and who is about to move it."""

    version: str
    claims: Mapping[str, Event]


def move_alias(move: AliasMove, log: EventLog) -> tuple[Event | None, bool]:
    """Move an alias.

    Parameters
    ----------
    move
        Where to.
    log
        Where the event is kept.

    Returns
    -------
    event, moved : tuple of (Event or None, bool)
        What was recorded, now or by the call that this one has finished; None and False where the alias pointed there
        already.

    Raises
    ------
    InputError
        The alias does not point where it is expected to.
    MetaModelError
        Another promoter was faster, or did not come to an end.
    """
    target = move.event
    for _ in range(_ATTEMPTS):
        state = _read(target)
        event = _mine(state, target)
        others = {id_: claim for id_, claim in state.claims.items() if event is None or id_ != event.id}
        if others and event is None:
            _settle_dead(others, target, log)
            continue
        if event is None:
            if state.version == target.version:
                return _already(move, log)
            _check_expected(move, state.version)
            gate = move.check(state.version)
            event = replace(target, replaced=state.version, gate=gate, when=later_than(log.of(target.name)))
        if _claimed(event):
            _finish(event, log)
            return event, True
        time.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))
    raise MetaModelError(
        f"The alias {target.alias!r} of {target.name!r} is being moved by others all the time. Try again later."
    )


def begun(name: str, alias: str, kind: str) -> Event | None:
    """Find what an earlier call has begun and not finished; None where there is nothing."""
    target = Event.now(kind=kind, name=name, alias=alias, version="", replaced="")
    state = _read(target)
    claims = [claim for claim in state.claims.values() if claim.kind == kind]
    unfinished = [claim for claim in claims if state.version in (claim.replaced, claim.version)]
    return min(unfinished, key=lambda claim: (claim.when, claim.id)) if unfinished else None


def _already(move: AliasMove, log: EventLog) -> tuple[Event | None, bool]:
    """Say since when the alias points there; what was expected may be what it pointed at before."""
    target = move.event
    events = [event for event in log.of(target.name) if event.alias == target.alias]
    last = events[-1] if events and events[-1].version == target.version else None
    if move.expect not in (None, target.version) and (last is None or last.replaced != move.expect):
        _check_expected(move, target.version)
    return last, False


def _check_expected(move: AliasMove, version: str) -> None:
    if move.expect is not None and version != move.expect:
        there = f"points at version {version}" if version else "is not set"
        raise InputError(
            f"The alias {move.event.alias!r} of {move.event.name!r} {there}, not at the expected {move.expect}. "
            "Look at `metamodel versions`, and decide anew."
        )


def _read(target: Event) -> _State:
    model = MlflowClient().get_registered_model(target.name)
    prefix = f"{_CLAIM_TAG}{target.alias}."
    claims = {
        key.removeprefix(prefix): Event.from_json(text) for key, text in model.tags.items() if key.startswith(prefix)
    }
    version = str(model.aliases.get(target.alias, ""))
    return _State(version, {id_: event for id_, event in claims.items() if event is not None})


def _mine(state: _State, target: Event) -> Event | None:
    """Find the claim of an earlier call for the same: that which got furthest, or the first."""
    same = [
        claim
        for claim in state.claims.values()
        if (claim.kind, claim.version, claim.group) == (target.kind, target.version, target.group)
    ]
    usable = [claim for claim in same if state.version in (claim.replaced, claim.version)]
    return min(usable, key=lambda claim: (claim.when, claim.id)) if usable else None


def _claimed(event: Event) -> bool:
    """Put up a claim and look whether it stands alone, on what it is about; else take it back."""
    client, key = MlflowClient(), f"{_CLAIM_TAG}{event.alias}.{event.id}"
    client.set_registered_model_tag(event.name, key, event.to_json())
    state = _read(event)
    if state.version == event.version or (set(state.claims) == {event.id} and state.version == event.replaced):
        return True
    client.delete_registered_model_tag(event.name, key)
    return False


def _finish(event: Event, log: EventLog) -> None:
    """Do what a claim stands for: each step may be done again, and none needs to know who did the ones before."""
    client = MlflowClient()
    client.set_model_version_tag(event.name, event.version, PROMOTION_TAG, event.to_json())
    state = _read(event)
    if event.id not in state.claims and state.version != event.version:
        raise MetaModelError(
            f"The promotion of {event.name} {event.version} took so long that another promoter took it for dead, and "
            f"the alias {event.alias!r} points at version {state.version or 'none'}. Look at `metamodel versions`."
        )
    client.set_registered_model_alias(event.name, event.alias, event.version)
    state = _read(event)
    if state.version != event.version:
        raise MetaModelError(
            f"The alias {event.alias!r} of {event.name!r} was moved to version {state.version or 'none'} while version "
            f"{event.version} was promoted. Look at `metamodel versions {event.name}`, and decide anew."
        )
    log.append(event)
    client.delete_registered_model_tag(event.name, f"{_CLAIM_TAG}{event.alias}.{event.id}")


def _settle_dead(claims: Mapping[str, Event], target: Event, log: EventLog) -> None:
    """Wait for other promoters; finish, or take away, the claims of those that do not move any more."""
    end = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
        if not claims.keys() & _read(target).claims.keys():
            return
    state = _read(target)
    for id_, claim in claims.items():
        if id_ not in state.claims:
            continue
        if state.version == claim.version:
            _finish(claim, log)
        else:
            MlflowClient().delete_registered_model_tag(claim.name, f"{_CLAIM_TAG}{claim.alias}.{id_}")
