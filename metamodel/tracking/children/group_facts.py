"""What MLflow is told of one group: tags by its group columns, parameters and metrics from its ledger row."""

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from metamodel.bundle.display import name_of
from metamodel.bundle.ledger_queries import keys_of
from metamodel.common.group_status import WITH_CHILD
from metamodel.tables.keys import GroupKey, KeySchema, encode_key

__all__ = ["CHILD_TAG", "GROUP_TAG", "Group", "GroupFacts", "group_digest", "tag_names"]

# Which group a model or run is of, in an alphabet that every filter takes, and which child it was logged for.
GROUP_TAG, CHILD_TAG = "metamodel.group", "metamodel.child_sha256"

# MLflow's limits.
_KEY_LENGTH, _TAG_LENGTH, _PARAM_LENGTH, _NAME_LENGTH = 250, 8000, 6000, 200

_MOST_PARAMS = 90

# Rows of the ledger that are dictionaries at the same time.
_CHUNK = 1000

_TEXTS = ("status", "reason", "error", "fingerprint", "better_than_parent", "warnings")


@dataclass(frozen=True)
class Group:
    """One row of the ledger.

    Parameters
    ----------
    number
        Its place in the ledger.
    key
        Canonical key; that of a parent is shorter.
    row
        The ledger's columns.
    """

    number: int
    key: GroupKey
    row: Mapping[str, Any]

    @cached_property
    def encoded(self) -> str:
        """The key as a string."""
        return encode_key(self.key)

    @property
    def digest(self) -> str:
        """A name for the key in hexadecimal digits."""
        return group_digest(self.encoded)

    @property
    def child_sha256(self) -> str:
        """Digest of the child in the bundle, "" without one."""
        return str(self.row["sha256"] or "")

    @property
    def label(self) -> str:
        """The key as people read it, without what MLflow forbids in the name of a logged model."""
        return re.sub(r"[/:.%\"']", "_", name_of(self.key))[:_NAME_LENGTH]


class GroupFacts:
    """The groups of a ledger, a part of it at a time.

    Parameters
    ----------
    ledger
        From training.
    keys
        The group columns.
    only_children
        Leave out the groups without a child.
    """

    def __init__(self, ledger: pd.DataFrame, keys: KeySchema, *, only_children: bool) -> None:
        self._ledger = ledger[ledger["status"].isin(WITH_CHILD)] if only_children else ledger
        self._keys = keys
        self._tag_names = tag_names(keys.names)
        numbers = self._ledger.select_dtypes("number").columns
        self._metrics = [str(name) for name in numbers if name not in (*keys.names, "level")]

    def __len__(self) -> int:
        return len(self._ledger)

    def __iter__(self) -> Iterator[Group]:
        for start in range(0, len(self), _CHUNK):
            yield from self.take(range(start, min(start + _CHUNK, len(self))))

    def take(self, numbers: Sequence[int]) -> list[Group]:
        """Return the groups at these places."""
        part = self._ledger.iloc[list(numbers)]
        keys = keys_of(part, self._keys)
        rows = part.to_dict(orient="records")
        return [Group(number, key, row) for number, key, row in zip(numbers, keys, rows, strict=True)]

    def tags(self, group: Group) -> dict[str, str]:
        """Tags: the values of the group columns under the columns' own names, and what finds this very child again."""
        names = [self._tag_names[column] for column in self._keys.names]
        texts = {name: text for name in _TEXTS if (text := str(group.row.get(name) or ""))}
        ours = {"key": group.encoded, "level": len(group.key), **texts}
        return {
            **{name: _cut(_text(value), _TAG_LENGTH) for name, value in zip(names, group.key, strict=False)},
            **{f"metamodel.{name}": _cut(str(value), _TAG_LENGTH) for name, value in ours.items()},
            GROUP_TAG: group.digest,
            CHILD_TAG: group.child_sha256,
        }

    def params(self, group: Group) -> dict[str, str]:
        """Parameters: the estimator, the rows, and the estimator's own parameters under their names."""
        row = group.row
        own = json.loads(row["params"]) if isinstance(row["params"], str) and row["params"] else {}
        named = {_key(str(name)): value for name, value in list(own.items())[:_MOST_PARAMS]}
        chosen = {name: row[name] for name in ("estimator", "candidate", "rows") if not _is_missing(row.get(name))}
        return {name: _cut(str(value), _PARAM_LENGTH) for name, value in {**named, **chosen}.items()}

    def metrics(self, group: Group, but: Sequence[str] = ()) -> dict[str, float]:
        """Metrics: every number of the ledger row that is there."""
        row = group.row
        wanted = {name: row[name] for name in self._metrics if name not in but and not _is_missing(row[name])}
        return {name: float(value) for name, value in wanted.items() if math.isfinite(value)}


def group_digest(encoded: str) -> str:
    """Name an encoded key in hexadecimal digits: it has one length, and no character that a filter would mind."""
    return hashlib.sha256(encoded.encode()).hexdigest()[:32]


def tag_names(columns: Sequence[str]) -> dict[str, str]:
    """Give every group column a tag: its own name, as far as MLflow takes it.

    Examples
    --------
    >>> tag_names(["country", "Größe (m²)", "Größe [m²]", "mlflow.user"])
    {'country': 'country', 'Größe (m²)': 'Größe _m²_', 'Größe [m²]': 'Größe _m²__2', 'mlflow.user': 'group.mlflow.user'}
    """
    names: dict[str, str] = {}
    for column in columns:
        name = _key(column)
        while name in names.values():
            name = f"{name[: _KEY_LENGTH - 4]}_{list(columns).index(column)}"
        names[column] = name
    return names


def _key(name: str) -> str:
    """Bring a name to MLflow's alphabet for keys, and keep away from the tags that are MLflow's or ours."""
    key = re.sub(r"[^\w.\- :]", "_", name) or "_"
    if set(key) <= {"."} or key.startswith(("mlflow.", "metamodel.")):
        key = f"group.{key}"
    return key[:_KEY_LENGTH]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value)) or value == ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
