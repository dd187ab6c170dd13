"""Load the children of hot groups when a model is opened, so that no request waits for them.

Preloading is done before the model is handed out, not in the background: unpickling holds the interpreter's lock, so it
would slow the first requests down, and a server would say that it is ready before it is. It fills the room that the
cache has and pushes nothing out.
"""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.reader import Bundle
from metamodel.common.group_status import ANSWERED
from metamodel.common.messages import count, listing, short
from metamodel.common.validation import is_whole
from metamodel.exceptions import ChildUnavailable, CorruptBundle, InputError, InvalidKey, UnknownGroup
from metamodel.prediction.answer_form import STACKED_METHODS
from metamodel.prediction.blending import parents_asked
from metamodel.tables import files as tables
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping, group_rows
from metamodel.tables.keys import GroupKey

__all__ = ["Preload", "Preloaded", "all_in_memory", "preload_children", "preload_setting"]

_VARIABLE = "METAMODEL_PRELOAD"

Preload = int | str | Path | Iterable[Any]


@dataclass(frozen=True)
class Preloaded:
    """What preloading came to, in groups.

    Attributes
    ----------
    asked
        Groups that were named, and with shrinkage the parents that have a say in their answers.
    loaded
        Children that are in the cache now.
    stacked
        Groups that a stack answers; their children are not needed.
    no_room
        Groups left out because the cache is full.
    unknown
        Names that are no group with a child.
    damaged
        Children that cannot be read.
    """

    asked: int
    loaded: int
    stacked: int
    no_room: int
    unknown: int
    damaged: int


def preload_setting(recorded: Any = None) -> Preload | None:
    """Read what a served model shall preload, or None.

    Parameters
    ----------
    recorded
        The value of `preload` in MLflow's `model_config`; it goes before the variable METAMODEL_PRELOAD, which holds a
        number of groups or the path of a table.
    """
    setting = recorded or os.environ.get(_VARIABLE, "").strip()
    if isinstance(setting, str) and setting.isascii() and setting.isdigit():
        setting = int(setting)
    return setting or None


def preload_children(bundle: Bundle, preload: Preload) -> Preloaded:
    """Load children into the bundle's cache, in the order given, as long as there is room.

    Parameters
    ----------
    bundle
        The opened bundle. The arrays of its stacks are read too.
    preload
        The number of groups to load, those with the most training rows first; or their keys; or the path of a table
        (CSV or Parquet) with the group columns, in which a group may occur often.

    Returns
    -------
    Preloaded
        What was loaded. Groups without a child, and damaged children, are reported in a warning as well.

    Raises
    ------
    InputError
        `preload` is none of these, or the table lacks a group column.
    """
    keys, unknown = _named(bundle, preload)
    if bundle.weights is not None:  # no child answers without its parents
        keys = list(dict.fromkeys([*parents_asked(keys, bundle.weights, len(bundle.manifest.keys.columns)), *keys]))
    missing = _not_stacked(bundle, keys)
    loaded, no_room = 0, 0
    damaged = _damage_of_pooled(bundle)
    for position, key in enumerate(missing):
        try:
            if not _keeps(bundle, key):
                no_room = len(missing) - position
                break
            loaded += 1
        except UnknownGroup as error:
            unknown.append(str(error))
        except (CorruptBundle, ChildUnavailable) as error:
            damaged.append(str(error))
    _warn([*unknown, *damaged])
    stacked = len(keys) - len(missing)
    asked = stacked + loaded + no_room + len(unknown) + len(damaged)
    return Preloaded(asked, loaded, stacked, no_room, len(unknown), len(damaged))


def all_in_memory(bundle: Bundle, read: tuple[Grouping, FeatureColumns], method: str, *, proba: bool) -> bool:
    """Whether all that is needed to answer rows is there already: nothing has to be loaded or fetched.

    Parameters
    ----------
    bundle
        The opened bundle.
    read
        The rows' groups and features.
    method
        The call's `predict_method`.
    proba
        Whether a stack would be asked for probabilities.
    """
    grouping, columns = read
    if bundle.references is not None:  # an endpoint's answer is never in memory
        return False
    keys = [key for key in grouping.keys if isinstance(key, tuple)]
    if (weights := bundle.weights) is not None:
        keys += dict.fromkeys(parents_asked(keys, weights, len(bundle.manifest.keys.columns)))
    # A stack leaves some rows with gaps to the children.
    if method in STACKED_METHODS and columns.matrix is not None and np.isfinite(columns.matrix).all():
        for stack in bundle.stacks:
            if keys and stack.takes(proba=proba):
                keys = [key for key, place in zip(keys, stack.positions(keys), strict=True) if place < 0]
    return all(map(bundle.is_cached, keys))


def _named(bundle: Bundle, preload: Preload) -> tuple[list[GroupKey], list[str]]:
    """Distinct canonical keys in the order given, and what is wrong with those that are none."""
    found: dict[GroupKey, None] = {}
    wrong: list[str] = []
    for key in _given(bundle, preload):
        try:
            if isinstance(key, InvalidKey):
                raise key
            found[bundle.manifest.keys.canonical(key)] = None
        except InvalidKey as error:
            wrong.append(str(error))
    return list(found), wrong


def _given(bundle: Bundle, preload: Preload) -> Iterable[Any]:
    if isinstance(preload, str | Path):
        return _of_table(bundle, preload)
    if isinstance(preload, Iterable):
        return preload
    if not is_whole(preload, 0):
        raise InputError(
            f"preload={short(preload)} is no number of groups. Give 0 or more, a list of keys, or a table's path."
        )
    return _largest(bundle, preload)


def _largest(bundle: Bundle, number: int) -> list[GroupKey]:
    """Keys of the groups with the most training rows."""
    schema = bundle.manifest.keys
    ledger = bundle.read_ledger([*schema.names, "level", "status", "rows"])
    answered = ledger["status"].isin(ANSWERED) & (ledger["level"] == len(schema.columns))
    return keys_of(ledger[answered].nlargest(number, "rows"), schema)


def _of_table(bundle: Bundle, path: str | Path) -> list[GroupKey | InvalidKey]:
    """Keys of a table in the order in which they first occur."""
    schema = bundle.manifest.keys
    grouping = group_rows(tables.read_table(path, schema.names), schema)
    return [grouping.keys[code] for code in pd.unique(grouping.codes)]


def _not_stacked(bundle: Bundle, keys: list[GroupKey]) -> list[GroupKey]:
    """Leave out the keys that a stack answers; reads the arrays and keys of the stacks."""
    stacked = np.zeros(len(keys), dtype=bool)
    for stack in bundle.stacks:
        if stack.takes(proba=False):
            stacked |= stack.positions(keys) >= 0
    return [key for key, known in zip(keys, stacked.tolist(), strict=True) if not known]


def _keeps(bundle: Bundle, key: GroupKey) -> bool:
    refused = bundle.cache.stats()["refused"]
    bundle.load(key, keep="if_room")
    return bundle.cache.stats()["refused"] == refused


def _damage_of_pooled(bundle: Bundle) -> list[str]:
    """Load the pooled model, where there is one; with what is wrong with it."""
    try:
        if bundle.manifest.pooled is not None:
            bundle.pooled(keep="if_room")
    except CorruptBundle as error:
        return [str(error)]
    return []


def _warn(errors: list[str]) -> None:
    if errors:
        warnings.warn(
            f"{count(len(errors), 'group')} cannot be preloaded. First: {listing(errors, 3)}",
            RuntimeWarning,
            stacklevel=4,
        )
