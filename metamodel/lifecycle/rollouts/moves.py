"""Raise a canary's fraction, end a roll-out, or promote its challenger: a new version, or a move of the alias."""

from dataclasses import dataclass, replace
from typing import Any

from metamodel.bundle.rollout.rollout_files import copy_rollout
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.temp_dirs import temporary_directory
from metamodel.exceptions import GateFailed, InputError
from metamodel.flavor.load import load_model
from metamodel.flavor.registered import named_version, version_of
from metamodel.lifecycle.alias_moves import AliasMove, move_alias
from metamodel.lifecycle.gate_record import check_gate
from metamodel.lifecycle.rollouts.rollout import RolledOut, log_rollout
from metamodel.prediction.rollout.assignment import check_fraction
from metamodel.tracking.event_history import event_log
from metamodel.tracking.events import Event, EventLog

__all__ = ["end_rollout", "promote_challenger", "raise_fraction"]


@dataclass(frozen=True)
class _Standing:
    """A roll-out that an alias points at."""

    model: RolloutModel
    name: str
    version: str
    alias: str


def raise_fraction(model: str, fraction: float) -> RolledOut:
    """Give the challenger of a roll-out more units; who had it before has it still.

    Parameters
    ----------
    model
        ``models:/NAME@ALIAS``: the alias of the roll-out, which is moved to a new version.
    fraction
        The new share; more than now.

    Raises
    ------
    InputError
        The alias points at no roll-out with a fraction, or the share is no more than it is.
    """
    check_fraction(fraction)
    standing = _standing(model)
    now = standing.model.rollout
    if now.mode not in ("ab", "canary"):
        raise InputError(f"{model} is rolled out by {now.mode!r}, which has no fraction to raise.")
    if not fraction > now.fraction:
        raise InputError(
            f"{model} has the fraction {now.fraction:g} already, and units do not go back to the champion by and by. "
            "Give more, or end the roll-out."
        )
    with temporary_directory("rollout") as directory:
        place = directory / "bundle"
        copy_rollout(standing.model.path, now.with_fraction(fraction), place)
        raised = log_rollout(place, standing.model, -1, standing.name, (standing.alias, standing.version))
    return replace(raised, differing=_differing_of(standing.model))


def end_rollout(model: str, *, log: EventLog | None = None) -> tuple[Event | None, bool]:
    """Point the alias of a roll-out back at its champion.

    Returns
    -------
    event, moved : tuple of (Event or None, bool)
        As of `metamodel.promote`.
    """
    standing = _standing(model)
    return _move(standing, "rollback", _registered(standing, "champion"), log, require_gate=False)


def promote_challenger(
    model: str, *, require_gate: bool = False, log: EventLog | None = None
) -> tuple[Event | None, bool]:
    """Point the alias of a roll-out at its challenger.

    Parameters
    ----------
    model
        ``models:/NAME@ALIAS``.
    require_gate
        Insist on a gate that the challenger has passed against the roll-out's champion.

    Raises
    ------
    GateFailed
        It has passed none.
    InputError
        The challenger is no version of the same registered model.
    """
    standing = _standing(model)
    return _move(standing, "promote", _registered(standing, "challenger"), log, require_gate=require_gate)


def _standing(model: str) -> _Standing:
    named = named_version(model)
    alias = str(model).rpartition("@")[2] if "@" in str(model) else ""
    if not named.name or not alias:
        raise InputError(f"{model} names no alias, and it is an alias that is moved. Give models:/NAME@ALIAS.")
    opened = load_model(named.uri)
    if not isinstance(opened, RolloutModel):
        raise InputError(f"{model} points at {named.name} {named.version}, which is no roll-out.")
    return _Standing(opened, named.name, named.version, alias)


def _registered(standing: _Standing, which: str) -> str:
    """Give the number of one of both versions."""
    facts: Any = getattr(standing.model.rollout, which) or {}
    if facts.get("name") != standing.name or not facts.get("version"):
        raise InputError(
            f"The {which} of this roll-out, {facts.get('uri')}, is no version of {standing.name!r}. "
            "Register it there, and promote it with metamodel promote."
        )
    return str(facts["version"])


def _move(
    standing: _Standing, kind: str, version: str, log: EventLog | None, *, require_gate: bool
) -> tuple[Event | None, bool]:
    target = version_of(standing.name, version)

    def allowed(_: str) -> str:
        if not require_gate:
            return ""
        try:
            return check_gate(target, _registered(standing, "champion"))
        except InputError as error:
            raise GateFailed(str(error)) from error

    event = Event.now(kind=kind, name=standing.name, alias=standing.alias, version=version, replaced="")
    return move_alias(AliasMove(event, standing.version, allowed), log or event_log())


def _differing_of(model: RolloutModel) -> int:
    return -1 if model.challenger is None else len(model.challenger.ledger)
