"""Whom rows are about: entity columns read to the same keys from pandas, JSON, CSV and Spark.

By this one rule roll-outs and control groups deal their units, and the log makes pseudonyms. A column's kind may be
written down; else each value is read by itself. pandas makes floats of whole numbers beside a null, and JSON has no
dates and no UUIDs, so a float without a fraction is the integer, and a date or UUID is the text of it. What is no key
(a null, a fraction, a list) names no unit: its row is the champion's, and has no pseudonym.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args
from uuid import UUID

import numpy as np
import pandas as pd

from metamodel.common.arrays import FEW_ROWS, HashArray, IntArray
from metamodel.common.messages import short
from metamodel.common.validation import one_of
from metamodel.exceptions import InputError
from metamodel.prediction.rollout.assignment import unit_hashes
from metamodel.tables.factorize import factorize
from metamodel.tables.grouping import combine_codes
from metamodel.tables.key_values import KeyKind, KeyValue, converted_to, is_null
from metamodel.tables.keys import encode_key

__all__ = ["EntityColumn", "UnitRows", "entity_units"]


@dataclass(frozen=True)
class EntityColumn:
    """A column that names the unit of a row.

    Parameters
    ----------
    name
        The column's name.
    kind
        "string", "integer", "boolean", "date" or "timestamp": whatever is none of it names no unit. None to take
        values as they come.

    Examples
    --------
    >>> customer = EntityColumn("customer_id")
    >>> customer.canonical(7.0), customer.canonical("7"), customer.canonical(7.5)
    (7, '7', None)
    >>> EntityColumn.parse("customer_id:integer").canonical("7")
    7
    """

    name: str
    kind: KeyKind | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"The entity {short(self.name)} names no column. Give a column's name, or NAME:KIND.")
        if self.kind is not None:
            one_of(f"The kind of entity column {self.name!r}", self.kind, get_args(KeyKind))

    @classmethod
    def parse(cls, text: str) -> "EntityColumn":
        """Read ``name`` or ``name:kind``.

        Raises
        ------
        InputError
            There is no such kind.
        """
        name, _, kind = text.partition(":")
        return cls(name, kind or None)  # type: ignore[arg-type]  # checked

    def canonical(self, value: object) -> KeyValue:
        """Bring a value to what it names a unit by; None where it names none."""
        if type(value) is str and self.kind in (None, "string") and value.isascii():  # by far the commonest
            return value
        if is_null(value):
            return None
        if self.kind is not None:
            text = isinstance(value, str)
            return converted_to(self.kind, value, utc=self.kind == "timestamp" and _has_zone(value), from_text=text)
        for kind in ("string", "boolean", "integer"):
            if (converted := converted_to(kind, value)) is not None:
                return converted
        named = value if isinstance(value, UUID) else converted_to("date", value)
        return None if named is None else str(named)


class UnitRows(NamedTuple):
    """The units of some rows.

    Attributes
    ----------
    texts
        The encoded key of each unit (twice, where two values name the same one); "" for what is none.
    codes
        Shape (n_rows,): position in `texts` of each row's unit.
    """

    texts: list[str]
    codes: IntArray

    def hashes(self, salt: str) -> HashArray:
        """Hash each distinct unit, shape (n_units,); what is none has a hash, too, that means nothing."""
        return unit_hashes(self.texts, salt)

    @property
    def named(self) -> Any:
        """Whether each row names a unit, boolean array of shape (n_rows,)."""
        return np.array([bool(text) for text in self.texts], dtype=bool)[self.codes]


def entity_units(columns: Sequence[EntityColumn], values: Mapping[str, Any], n_rows: int) -> UnitRows:
    """Find the unit of every row.

    Parameters
    ----------
    columns
        The entity columns, at least one. Where one of several has no value, there is no unit.
    values
        Column → the rows' values: a Series, or any sequence of as many. A column that is not in it has none.
    n_rows
        Number of rows.

    Examples
    --------
    >>> columns = [EntityColumn("country"), EntityColumn("customer")]
    >>> entity_units(columns, {"country": ["FR", "FR", None], "customer": [7, 7.0, 8]}, 3)
    UnitRows(texts=['["FR",7]', ''], codes=array([0, 0, 1]))
    """
    if n_rows <= FEW_ROWS:
        return _few_units(columns, values, n_rows)
    coded = [_coded(column, values.get(column.name), n_rows) for column in columns]
    codes, parts = combine_codes([codes for codes, _ in coded], [len(canonical) for _, canonical in coded])
    by_column = [[canonical[code] for code in part.tolist()] for (_, canonical), part in zip(coded, parts, strict=True)]
    return UnitRows([_text(key) for key in zip(*by_column, strict=True)], codes)


def _few_units(columns: Sequence[EntityColumn], values: Mapping[str, Any], n_rows: int) -> UnitRows:
    """Read a few rows cell by cell, which pandas' machinery would take a millisecond for."""
    cells = [_cells(values.get(column.name), n_rows) for column in columns]
    places: dict[str, int] = {}
    codes = []
    for row in zip(*cells, strict=True):
        text = _text(tuple(column.canonical(value) for column, value in zip(columns, row, strict=True)))
        codes.append(places.setdefault(text, len(places)))
    return UnitRows(list(places), np.array(codes, dtype=np.int64))


def _cells(values: Any, n_rows: int) -> Sequence[Any]:
    if values is None:
        return [None] * n_rows
    return values.astype(object).tolist() if isinstance(values, pd.Series) else values


def _coded(column: EntityColumn, values: Any, n_rows: int) -> tuple[IntArray, list[Any]]:
    """Code a column by its distinct values: a code for each row, and what each code stands for."""
    if values is None:
        return np.zeros(n_rows, dtype=np.int64), [None]
    series = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
    codes, raw, kind = factorize(series)
    is_canonical = bool(kind) and column.kind in (None, kind)
    canonical: list[Any] = raw if is_canonical else [column.canonical(value) for value in raw]
    if len(codes) and codes.min() < 0:
        codes, canonical = np.where(codes < 0, len(canonical), codes), [*canonical, None]
    return codes, canonical


def _text(key: tuple[KeyValue, ...]) -> str:
    return "" if None in key else encode_key(key)


def _has_zone(value: object) -> bool:
    try:
        return pd.Timestamp(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
