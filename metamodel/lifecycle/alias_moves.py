"""Move an alias so that an interruption anywhere is made good by the same call, and two promoters do not meet.

MLflow has no compare-and-set. Whoever wants to move an alias first puts up a *claim*, a tag of the registered model
that holds the whole event, and reads all claims again, with the alias in the same answer. Of two promoters of different
events at least one sees the other's claim; who sees one takes the own back and waits. A claim whose promoter was killed
stays: the same call joins its event with a claim beside it, and whoever is first finishes it; the event's id makes that
harmless however often it is done, and the claim of one who is alive after all is nobody else's to take back. Another
promoter finishes, or takes away, what nobody has moved for some seconds.
"""

import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from mlflow import MlflowClient

from metamodel.exceptions import InputError, MetaModelError
from metamodel.tracking.events import PROMOTION_TAG, Event, EventLog, later_than
from metamodel.tracking.registry_writes import set_alias, set_version_tag

__all__ = ["AliasMove", "begun", "check_expected", "move_alias"]

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
    """What the registry says in one answer: where the alias points, and who claims it (by tag)."""

    version: str
    claims: Mapping[str, Event]

    def of(self, event: Event) -> dict[str, Event]:
        """Give the claims for one event: of who began it, and of those who joined."""
        return {key: claim for key, claim in self.claims.items() if claim.id == event.id}


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
        What was recorded, now or by the call that this one has finished. False where the alias pointed there already,
        also by another call a moment ago; then the event is the one that led there, None where nobody recorded it.

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
        begun_claims = state.of(event) if event else {}
        if others := {key: claim for key, claim in state.claims.items() if key not in begun_claims}:
            _settle_dead(others, target, log)
            continue
        if event is None:
            if state.version == target.version:
                return _already(move, log)
            check_expected(target, move.expect, state.version)
            gate = move.check(state.version)
            event = replace(target, replaced=state.version, gate=gate, when=later_than(log.of(target.name)))
        if claim := _claimed(event, joined=bool(begun_claims)):
            _finish(event, [claim, *begun_claims], log)
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
        check_expected(target, move.expect, target.version)
    return last, False


def check_expected(target: Event, expect: str | None, version: str) -> None:
    """Insist on the version that an alias is expected to point at.

    Raises
    ------
    InputError
        It points at another one.
    """
    if expect is not None and version != expect:
        there = f"points at version {version}" if version else "is not set"
        raise InputError(
            f"The alias {target.alias!r} of {target.name!r} {there}, not at the expected {expect}. "
            "Look at `metamodel versions`, and decide anew."
        )


def _read(target: Event) -> _State:
    model = MlflowClient().get_registered_model(target.name)
    told = {key: Event.from_json(text) for key, text in model.tags.items() if key.startswith(_CLAIM_TAG)}
    claims = {key: event for key, event in told.items() if event is not None and event.alias == target.alias}
    return _State(str(model.aliases.get(target.alias, "")), claims)


def _mine(state: _State, target: Event) -> Event | None:
    """Find the claim of an earlier call for the same: that which got furthest, or the first."""
    same = [
        claim
        for claim in state.claims.values()
        if (claim.kind, claim.version, claim.group) == (target.kind, target.version, target.group)
    ]
    usable = [claim for claim in same if state.version in (claim.replaced, claim.version)]
    return min(usable, key=lambda claim: (claim.when, claim.id)) if usable else None


def _claimed(event: Event, joined: bool) -> str | None:
    """Put up a claim, and look whether nobody claims another event; else take it back. Gives the claim's tag.

    Of an event that is joined, whoever began it may have moved the alias. Who begins one has to find the alias where it
    was: the same call of another process may have come to its end meanwhile, and its event is there already.
    """
    client, key = MlflowClient(), f"{_CLAIM_TAG}{event.alias}.{event.id}.{secrets.token_hex(4)}"
    client.set_registered_model_tag(event.name, key, event.to_json())
    state = _read(event)
    is_alone = state.version == event.replaced and state.of(event) == state.claims
    if is_alone or (joined and state.version == event.version):
        return key
    if key in state.claims:  # who joined it has taken it away
        client.delete_registered_model_tag(event.name, key)
    return None


def _finish(event: Event, claims: Iterable[str], log: EventLog) -> None:
    """Do what claims stand for: each step may be done again, and none needs to know who did the ones before."""
    client = MlflowClient()
    set_version_tag(event.name, event.version, PROMOTION_TAG, event.to_json())
    state = _read(event)
    if state.version != event.version:
        if not state.of(event):
            _told_dead(event, state, log)
            return
        set_alias(event.name, event.alias, event.version)
        state = _read(event)
    if state.version != event.version:
        raise MetaModelError(
            f"The alias {event.alias!r} of {event.name!r} was moved to version {state.version or 'none'} while version "
            f"{event.version} was promoted. Look at `metamodel versions {event.name}`, and decide anew."
        )
    log.append(event)
    for key in claims:
        if key in state.claims:
            client.delete_registered_model_tag(event.name, key)


def _told_dead(event: Event, state: _State, log: EventLog) -> None:
    """Refuse to move an alias without a claim, unless another call has finished the event already."""
    if all(known.id != event.id for known in log.of(event.name)):
        raise MetaModelError(
            f"The promotion of {event.name} {event.version} took so long that another promoter took it for dead, and "
            f"the alias {event.alias!r} points at version {state.version or 'none'}. Look at `metamodel versions`."
        )


def _settle_dead(claims: Mapping[str, Event], target: Event, log: EventLog) -> None:
    """Wait for other promoters; finish, or take away, the claims of those that do not move any more."""
    end = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
        if not claims.keys() & _read(target).claims.keys():
            return
    state = _read(target)
    for key, claim in claims.items():
        if key not in state.claims:
            continue
        if state.version == claim.version:
            _finish(claim, [key], log)
        else:
            MlflowClient().delete_registered_model_tag(claim.name, key)
