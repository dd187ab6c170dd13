"""`metamodel.rollback`: point an alias back at an earlier version, or give one group its earlier child again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.rollout_model import refuse_rollout
from metamodel.common.temp_dirs import temporary_directory
from metamodel.exceptions import InputError
from metamodel.flavor.environment import recorded_environment
from metamodel.flavor.load import load_model
from metamodel.flavor.pyfunc_args import recorded_defaults
from metamodel.flavor.registered import aliases_of, version_of
from metamodel.lifecycle.alias_moves import AliasMove, begun, check_expected, move_alias
from metamodel.lifecycle.group_rollback import check_group, write_with_group_of
from metamodel.tables.key_text import key_of_text
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.tracking import registry
from metamodel.tracking.event_history import event_log
from metamodel.tracking.events import Event, EventLog
from metamodel.tracking.log_bundle import log_bundle
from metamodel.tracking.pack_children import recorded_example
from metamodel.tracking.registry_writes import set_version_tag

__all__ = ["rollback"]

# Of a version that a rollback of one group made: which group, its child of which version, all else of which.
_MADE_TAG = "metamodel.rollback"


def rollback(
    name: str,
    version: int | str | None = None,
    alias: str = "champion",
    *,
    group: Any = None,
    expect: int | str | None = None,
    history: str | Path | None = None,
) -> tuple[Event | None, bool]:
    """Point an alias back at an earlier version, or at a new one in which a group has its earlier child again.

    Parameters
    ----------
    name
        The registered model.
    version
        Number of the version; by default the one that the present version replaced when it was promoted, or made by
        the rollback of one group.
    group
        Roll back this group alone: its key as a tuple, or as text (``["FR", 7]``, ``FR,7``). A new version is made from
        the present one, with the group's child, interval and weights of `version`; nothing of any other group changes,
        and no version is changed in place.
    alias, expect, history
        As for `metamodel.promote`.

    Returns
    -------
    event, moved : tuple of (Event or None, bool)
        As of `metamodel.promote`.

    Raises
    ------
    InputError
        There is no such model, version, alias or group, nothing says what the present version replaced, or the group's
        earlier child cannot answer in the present version as it did in its own.
    """
    registry.check_names(name, alias)
    log, expected = event_log(history), None if expect is None else str(expect)
    present = aliases_of(name, wanted=alias)[alias]
    if group is not None:
        return _roll_group_back(name, alias, version, group, expected, history)
    if version is not None:
        target = str(version)
    elif unfinished := begun(name, alias, "rollback"):  # the alias may have been moved already
        target = unfinished.version
    else:
        target = _replaced(name, alias, present, log)
    version_of(name, target)
    intended = Event.now(kind="rollback", name=name, alias=alias, version=target, replaced="")
    return move_alias(AliasMove(intended, expected, lambda _: ""), log)


def _roll_group_back(
    name: str, alias: str, version: int | str | None, group: Any, expect: str | None, history: str | Path | None
) -> tuple[Event | None, bool]:
    if version is None:
        raise InputError("Which child shall the group have again? Give --version N beside --group.")
    version_of(name, str(version))
    present = aliases_of(name, wanted=alias)[alias]
    opened = load_model(f"models:/{name}/{present}")
    refuse_rollout(opened, "given one group's earlier child")
    key = _key(opened, group)
    facts = {"group": encode_key(key), "group_version": str(version)}
    intended = Event.now(kind="rollback", name=name, alias=alias, version="", replaced="", **facts)
    made = _made(name, facts, present)
    if made is None:
        check_expected(intended, expect, present)
        made = _make(name, opened, key, str(version), {**facts, "base": present}, history)
    intended = replace(intended, version=made)
    return move_alias(AliasMove(intended, present if made != present else expect, lambda _: ""), event_log(history))


def _key(model: MetaModel, group: Any) -> GroupKey:
    keys = model.manifest.keys
    return key_of_text(group, keys) if isinstance(group, str) else keys.canonical(group)


def _made(name: str, facts: dict[str, str], present: str) -> str | None:
    """Find the version that an earlier, interrupted call has made of the present one; it may be champion already."""
    for version in MlflowClient().search_model_versions(f"name = '{name}'"):
        noted = json.loads(version.tags.get(_MADE_TAG, "{}"))
        if facts.items() <= noted.items() and present in (noted["base"], str(version.version)):
            return str(version.version)
    return None


def _make(
    name: str, present: MetaModel, key: GroupKey, version: str, facts: dict[str, str], history: str | Path | None
) -> str:
    """Log a version that is the present one but for a group, and note what it is made of."""
    earlier = load_model(f"models:/{name}/{version}")
    refuse_rollout(earlier, "where one group's child comes from")
    check_group(present, earlier, key, version)
    with temporary_directory("rollback") as directory:
        path = write_with_group_of(present, earlier, key, version, directory / "bundle")
        model = MetaModel(path, defaults=recorded_defaults(present))
        environment = recorded_environment(present)
        info = log_bundle(
            model, recorded_example(present), "model", name, None, environment=environment, history=history
        )
    made = str(info.registered_model_version)
    set_version_tag(name, made, _MADE_TAG, json.dumps(facts))
    return made


def _replaced(name: str, alias: str, present: str, log: EventLog) -> str:
    """Find what a version replaced when it was promoted, or made for one group; not what it was rolled back from."""
    moves = [event for event in log.of(name) if event.alias == alias and event.version == present]
    replaced = [event.replaced for event in moves if event.kind != "rollback" or event.group]
    if not replaced:
        raise InputError(
            f"Nothing says which version {name} {present} replaced: the alias {alias!r} was set by other means. "
            "Give --version."
        )
    if not replaced[-1]:
        raise InputError(f"{name} {present} was the first version that had the alias {alias!r}. Give --version.")
    return replaced[-1]
