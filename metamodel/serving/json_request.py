"""Plain JSON bodies, read straight into what routing takes: no DataFrame, no cast of a column.

A body is plain when MLflow's server could not make anything else of it than we do: one known layout, every column
once, texts, whole numbers or booleans for keys, numbers or nulls for features. Whatever is not is left to MLflow's own
code, which also words every refusal, so the answers are the same by construction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from metamodel.tables.features import FeatureColumns, FeatureSchema
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import KeySchema
from metamodel.tables.small_tables import read_plain_rows

__all__ = ["PlainReader", "PlainRequest"]

_PARAM_TYPES = {"detail": bool, "predict_method": str, "unknown": str}

_Row = Sequence[Any]

_Places = tuple[tuple[int, ...], tuple[int, ...], tuple[int | None, ...]]

_Rows = tuple[list[_Row], list[_Row], list[_Row]]


class PlainRequest(NamedTuple):
    """What a plain body asks.

    Attributes
    ----------
    grouping, columns
        The rows' groups and features.
    params
        The call's params.
    entities
        Of a roll-out: the rows' values of the columns that decide which model answers.
    """

    grouping: Grouping
    columns: FeatureColumns
    params: dict[str, Any]
    entities: Mapping[str, Sequence[Any]]


class PlainReader:
    """Reads the plain bodies of one model.

    Parameters
    ----------
    keys, features
        The recorded schemas.
    entity_names
        Of a roll-out, columns that decide which model answers; of one that did not come each row has a null.
    log_names
        Columns that are logged; they change no body's way, so that answers are the same bytes with a log.
    """

    def __init__(
        self,
        keys: KeySchema,
        features: FeatureSchema,
        entity_names: Sequence[str] = (),
        log_names: Sequence[str] = (),
    ) -> None:
        self._keys = keys
        self._features = features
        self._entity_names = tuple(dict.fromkeys([*entity_names, *log_names]))
        self._key_names = tuple(keys.names)
        self._feature_names = tuple(features.names)
        self._needed = frozenset([*self._key_names, *self._feature_names])
        self._known = self._needed.union(entity_names)
        self._layouts: dict[str, Callable[[Any], _Rows | None]] = {
            "dataframe_split": self._split,
            "dataframe_records": self._records,
            "instances": self._exact_records,
            "inputs": self._inputs,
        }
        self._remembered_positions = lru_cache(maxsize=64)(self._find_positions)
        # Longer headers than such are not remembered: a caller could fill the memory with them.
        self._most_characters = 2 * _characters(self._needed) + 1000

    def read(self, body: bytes) -> PlainRequest | None:
        """Read a body, or return None where it is not plain."""
        opened = _opened(body) if self._features.layout == "array" else None
        if opened is None:
            return None
        sent, params = opened
        ((layout, table),) = sent.items()
        read = self._layouts.get(layout)
        rows = None if read is None else read(table)
        if rows is None:
            return None
        of_keys, of_features, of_entities = rows
        plain_rows = read_plain_rows(of_keys, of_features, self._keys, self._features)
        if plain_rows is None:
            return None
        entities = {name: [row[i] for row in of_entities] for i, name in enumerate(self._entity_names)}
        return PlainRequest(*plain_rows, params, entities)

    def _split(self, table: Any) -> _Rows | None:
        if not isinstance(table, dict) or not table.keys() <= {"columns", "data", "index"}:
            return None
        names: Any = table.get("columns")
        data: Any = table.get("data")
        index: Any = table.get("index")
        if not _all(str, names) or not _all(list, data):
            return None
        if "index" in table and not (_all(int, index) and len(index) == len(data)):
            return None
        if {len(row) for row in data} != {len(names)}:
            return None
        positions = self._positions(names)
        if positions is None:
            return None
        of_keys, of_features, of_entities = positions
        return (
            [[row[i] for i in of_keys] for row in data],
            [[row[i] for i in of_features] for row in data],
            [[None if i is None else row[i] for i in of_entities] for row in data] if of_entities else [],
        )

    def _positions(self, names: list[str]) -> _Places | None:
        find = self._remembered_positions if _characters(names) <= self._most_characters else self._find_positions
        return find(tuple(names))

    def _find_positions(self, names: tuple[str, ...]) -> _Places | None:
        where = {name: i for i, name in enumerate(names)}
        if len(where) < len(names) or not where.keys() >= self._needed:
            return None
        of_features = tuple(where[name] for name in self._feature_names)
        return tuple(where[name] for name in self._key_names), of_features, tuple(map(where.get, self._entity_names))

    def _records(self, records: Any) -> _Rows | None:
        if not _all(dict, records):
            return None
        try:
            return (
                [[record[name] for name in self._key_names] for record in records],
                [[record[name] for name in self._feature_names] for record in records],
                [list(map(record.get, self._entity_names)) for record in records] if self._entity_names else [],
            )
        except KeyError:
            return None

    def _exact_records(self, records: Any) -> _Rows | None:
        # MLflow turns further columns into arrays, and fails where these have different lengths.
        if not _all(dict, records) or any(not self._is_exact(record) for record in records):
            return None
        return self._records(records)

    def _is_exact(self, table: dict[str, Any]) -> bool:
        return self._needed <= table.keys() <= self._known

    def _inputs(self, table: Any) -> _Rows | None:
        if not isinstance(table, dict):
            return self._exact_records(table)
        if not self._is_exact(table) or not all(type(values) is list for values in table.values()):
            return None
        if len({len(values) for values in table.values()}) != 1:
            return None
        keys = list(zip(*map(table.__getitem__, self._key_names), strict=True))
        features = list(zip(*map(table.__getitem__, self._feature_names), strict=True))
        nulls = [None] * len(keys)
        entities = list(zip(*(table.get(name, nulls) for name in self._entity_names), strict=True))
        return (list(keys), list(features), list(entities)) if keys else None


def _characters(names: Collection[str]) -> int:
    return sum(map(len, names)) + len(names)


def _opened(body: bytes) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Parse a body with one table and plain params."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:  # or JSON that Python's parser takes: NaN, lone surrogates, UTF-16
        return None
    if not isinstance(sent, dict):
        return None
    params = sent.pop("params", None)
    params = {} if params is None else params
    return (sent, params) if len(sent) == 1 and _plain_params(params) else None


def _plain_params(params: Any) -> bool:
    if not isinstance(params, dict):
        return False
    return all(type(value) is _PARAM_TYPES.get(name) for name, value in params.items())


def _all(kind: type, values: Any) -> bool:
    """Whether it is a list of one value or more, all of one type."""
    return type(values) is list and bool(values) and all(type(value) is kind for value in values)
