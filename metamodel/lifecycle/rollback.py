"""`metamodel.rollback`: point an alias back at an earlier version, or give one group its earlier child again."""

from metamodel.exceptions import InputError
from metamodel.lifecycle.alias_moves import AliasMove, begun, move_alias
from metamodel.lifecycle.events import Event, EventLog, VersionTags
from metamodel.lifecycle.registered import aliases_of, version_of
from metamodel.tracking import registry

__all__ = ["rollback"]


def rollback(
    name: str,
    version: int | str | None = None,
    alias: str = "champion",
    *,
    expect: int | str | None = None,
    log: EventLog | None = None,
) -> tuple[Event | None, bool]:
    """Point an alias back at an earlier version.

    Parameters
    ----------
    name
        The registered model.
    version
        Number of the version; by default the one that the present version replaced when it was promoted.
    alias, expect, log
        As for `metamodel.promote`.

    Returns
    -------
    event, moved : tuple of (Event or None, bool)
        As of `metamodel.promote`.

    Raises
    ------
    InputError
        There is no such model, version or alias, or nothing says what the present version replaced.
    """
    registry.check_names(name, alias)
    kept = log or VersionTags()
    present = aliases_of(name, wanted=alias)[alias]
    if version is not None:
        target = str(version)
    elif unfinished := begun(name, alias, "rollback"):  # the alias may have been moved already
        target = unfinished.version
    else:
        target = _replaced(name, alias, present, kept)
    version_of(name, target)
    intended = Event.now(kind="rollback", name=name, alias=alias, version=target, replaced="")
    return move_alias(AliasMove(intended, None if expect is None else str(expect), lambda _: ""), kept)


def _replaced(name: str, alias: str, present: str, log: EventLog) -> str:
    """Find what a version replaced when it was promoted; not what it was rolled back from."""
    promotions = [event for event in log.of(name) if event.alias == alias and event.kind == "promote"]
    replaced = [event.replaced for event in promotions if event.version == present]
    if not replaced:
        raise InputError(
            f"Nothing says which version {name} {present} replaced: the alias {alias!r} was set by other means. "
            "Give --version."
        )
    if not replaced[-1]:
        raise InputError(f"{name} {present} was the first version that had the alias {alias!r}. Give --version.")
    return replaced[-1]
