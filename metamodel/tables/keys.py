"""Group keys: the recorded key schema, canonical values, and one string per key.

A group key is a tuple with one value per group column. The training table fixes the *kind* of every group column
once; afterwards each incoming value is brought to that kind without loss or not at all, so that ``7``,
``np.int64(7)``, ``7.0`` and ``Decimal(7)`` name the same group of an integer column and ``7.5``, ``"7"`` and ``True``
name none.

This module knows values and columns. It knows nothing of rows, models or files.
"""

import datetime as dt
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from json.encoder import encode_basestring
from typing import Any, Self, TypeAlias, get_args

import numpy as np
import pandas as pd

from metamodel.common.choices import NullKeys
from metamodel.common.messages import count, listing, short
from metamodel.exceptions import InputError, InvalidKey, MissingColumns
from metamodel.tables.key_values import LARGEST_FLOAT, KeyKind, KeyValue, converted_to, is_null

__all__ = ["GroupKey", "KeyColumn", "KeySchema", "decode_key", "decode_keys", "encode_key", "encode_keys", "prefixes"]

GroupKey: TypeAlias = tuple[KeyValue, ...]

_INFERRED: dict[str, KeyKind] = {
    "string": "string",
    "integer": "integer",
    "floating": "integer",
    "decimal": "integer",
    "mixed-integer-float": "integer",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "datetime64": "timestamp",
}


@dataclass(frozen=True)
class KeyColumn:
    """One group column as the training table had it.

    Parameters
    ----------
    name
        The column's name.
    kind
        What its values are: "string", "integer", "boolean", "date" or "timestamp".
    utc
        For timestamps: True where the values carry a time zone (they are kept in UTC).
    from_text
        True where ``"7"`` may stand for ``7`` and ``"true"`` for ``True``. Off unless somebody writes it down.

    Examples
    --------
    >>> store = KeyColumn("store", "integer")
    >>> store.canonical(7.0)
    7
    >>> store.canonical(7.5)
    Traceback (most recent call last):
    metamodel.exceptions.InvalidKey: Group column 'store' holds integers; the float 7.5 is none. \
Send the value in the kind the model was trained with.
    """

    name: str
    kind: KeyKind
    utc: bool = False
    from_text: bool = False

    def canonical(self, value: object) -> KeyValue:
        """Bring one value to this column's kind without loss.

        Parameters
        ----------
        value
            Any scalar. None, NaN, NaT and ``pd.NA`` are null and come back as None.

        Returns
        -------
        str, int, bool, datetime.date, pandas.Timestamp or None

        Raises
        ------
        InvalidKey
            The value is of another kind, or would change on the way.
        """
        if type(value) is str and self.kind == "string" and value.isascii():  # by far the commonest
            return value
        if is_null(value):
            return None
        converted = converted_to(self.kind, value, utc=self.utc, from_text=self.from_text)
        if converted is None:
            raise InvalidKey(f"Group column {self.name!r} holds {self.kind}s; {_why_none(self.kind, value)}")
        return converted

    @classmethod
    def infer(cls, name: str, values: pd.Series) -> Self:
        """Read the kind of a group column off the training table.

        Raises
        ------
        InputError
            The column is empty, mixes kinds, or holds something that cannot be a key (fractions, lists, ...).
        """
        values = values.dropna()
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = pd.Series(values.unique().astype(object))
        if isinstance(values.dtype, pd.ArrowDtype):
            values = values.astype(object)
        if values.empty:
            raise InputError(f"Group column {name!r} holds no value at all. Choose another group column, or fill it.")
        inferred = pd.api.types.infer_dtype(values, skipna=True)
        kind = _INFERRED.get(inferred)
        if kind is None:
            raise InputError(
                f"Group column {name!r} cannot hold group keys: its values are {inferred} "
                f"(first: {short(values.iloc[0])}). "
                "Convert it to strings, integers, booleans, dates or timestamps of one kind."
            )
        column = cls(name, kind, utc=kind == "timestamp" and pd.Timestamp(values.iloc[0]).tzinfo is not None)
        if inferred in ("floating", "decimal", "mixed-integer-float"):
            column._reject_fractions(values)
        return column

    def _reject_fractions(self, values: pd.Series) -> None:
        for value in values.unique():
            try:
                self.canonical(value)
            except InvalidKey as error:
                raise InputError(
                    f"Group column {self.name!r} holds numbers that are no whole numbers, such as {short(value)}. "
                    "Round it or cut it into bins, and store the result as integers or strings."
                ) from error


def _why_none(kind: KeyKind, value: object) -> str:
    if kind == "integer" and _is_large(value):
        if isinstance(value, float | np.floating):
            return f"the float {short(value)} may have been another one before it was rounded. Send it as an integer."
        return f"{short(value)} is beyond 64 bits with a sign. Convert the column to strings, in training too."
    fact = f"the {type(value).__name__} {short(value)} is none"
    return f"{fact}. Send the value in the kind the model was trained with."


def _is_large(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return math.isfinite(value) and abs(float(value)) >= LARGEST_FLOAT
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value) >= LARGEST_FLOAT
    return isinstance(value, int | np.integer) and abs(int(value)) >= LARGEST_FLOAT


@dataclass(frozen=True)
class KeySchema:
    """The group columns in order, and what a null in them means.

    Parameters
    ----------
    columns
        One `KeyColumn` per group column.
    null_keys
        "group": null is a value like any other. "error" and "drop": a null is no key (they differ in training only).
    """

    columns: tuple[KeyColumn, ...]
    null_keys: NullKeys = "error"

    @cached_property
    def names(self) -> list[str]:
        """Names of the group columns."""
        return [column.name for column in self.columns]

    @classmethod
    def infer(cls, frame: pd.DataFrame, group_by: Sequence[str], null_keys: NullKeys = "error") -> Self:
        """Read the schema off the training table.

        Examples
        --------
        >>> frame = pd.DataFrame({"country": ["FR", "DE"], "store": [7.0, 8.0]})
        >>> [column.kind for column in KeySchema.infer(frame, ["country", "store"]).columns]
        ['string', 'integer']
        """
        if missing := [name for name in group_by if name not in frame.columns]:
            raise MissingColumns(
                f"Group columns {missing} are not in the table (columns: {listing(frame.columns)}). "
                "Name existing columns in group_by."
            )
        if null_keys not in get_args(NullKeys):
            raise InputError(f"null_keys={null_keys!r} is unknown. Use one of {', '.join(get_args(NullKeys))}.")
        return cls(tuple(KeyColumn.infer(name, frame[name]) for name in group_by), null_keys)

    def canonical(self, key: object) -> GroupKey:
        """Bring a whole key to the schema; a bare scalar is the key of a single group column.

        Examples
        --------
        >>> import numpy as np
        >>> schema = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))
        >>> schema.canonical(["FR", np.int64(7)])
        ('FR', 7)
        """
        values = tuple(key) if isinstance(key, tuple | list) else (key,)
        if len(values) != len(self.columns):
            raise InvalidKey(
                f"The key {short(values)} has {count(len(values), 'value')}, but there are {len(self.columns)} group "
                f"columns ({', '.join(self.names)}). Give one value for each, in that order."
            )
        return tuple(self.canonical_value(i, value) for i, value in enumerate(values))

    def canonical_value(self, position: int, value: object) -> KeyValue:
        """Bring the value of one group column to its kind, null policy included."""
        column = self.columns[position]
        canonical = column.canonical(value)
        if canonical is None and self.null_keys != "group":
            raise InvalidKey(f'Group column {column.name!r} is null. Fill it, or train with null_keys="group".')
        return canonical

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, for the manifest."""
        return {"columns": [asdict(column) for column in self.columns], "null_keys": self.null_keys}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(KeyColumn(**column) for column in data["columns"]), data["null_keys"])


def prefixes(keys: Iterable[GroupKey | InvalidKey], level: int) -> list[GroupKey | InvalidKey]:
    """Cut keys down to their first `level` values, as their parents have them; what is no key stays as it is."""
    return [key[:level] if isinstance(key, tuple) else key for key in keys]


# `json.dumps` would make one for each key, which takes longer than encoding it.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode_key(key: GroupKey) -> str:
    """Encode a canonical key as one string: a typed JSON array.

    Distinct keys have distinct strings, whatever their values contain, and a prefix of the group columns (a parent
    level) is simply a shorter array.

    Examples
    --------
    >>> encode_key(("FR", 7)), encode_key(("7",)), encode_key((True, None)), encode_key(())
    ('["FR",7]', '["7"]', '[true,null]', '[]')
    """
    return f"[{','.join([_encoded(value) for value in key])}]"


def encode_keys(keys: Iterable[GroupKey]) -> list[str]:
    """Encode many keys at once, several times faster than one by one.

    Examples
    --------
    >>> encode_keys([("FR", 7), ("DE", None), ("FR",)])
    ['["FR",7]', '["DE",null]', '["FR"]']
    """
    keys = list(keys)
    if len(set(map(len, keys))) != 1 or not keys[0]:
        return list(map(encode_key, keys))
    # Ten times faster than zip, which makes an iterator of every key.
    columns = [_encoded_column([key[i] for key in keys]) for i in range(len(keys[0]))]
    return [f"[{text}]" for text in (columns[0] if len(columns) == 1 else map(",".join, zip(*columns, strict=True)))]


def decode_key(text: str) -> GroupKey:
    """Inverse of `encode_key`.

    Examples
    --------
    >>> decode_key('["FR",{"date":"2026-01-31"}]')
    ('FR', datetime.date(2026, 1, 31))
    """
    return tuple(_untagged(value) for value in json.loads(text))


def decode_keys(texts: Sequence[str]) -> list[GroupKey]:
    """Decode many keys at once, several times faster than one by one.

    Examples
    --------
    >>> decode_keys(['["FR",7]', "[]"])
    [('FR', 7), ()]
    """
    together = f"[{','.join(texts)}]"
    keys = json.loads(together)
    if "{" not in together:  # no date and no point of time
        return list(map(tuple, keys))
    return [tuple(_untagged(value) for value in key) for key in keys]


def _encoded(value: KeyValue) -> str:
    # Texts and integers, by far the commonest, without the encoder's detours.
    if type(value) is str:
        return encode_basestring(value)
    return repr(value) if type(value) is int else _ENCODER.encode(_tagged(value))


def _encoded_column(values: Sequence[KeyValue]) -> Iterable[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return map(repr, values)
    return map(encode_basestring if kinds == {str} else _encoded, values)  # type: ignore[arg-type]  # all are texts


def _tagged(value: KeyValue) -> object:
    if isinstance(value, pd.Timestamp):
        return {"timestamp": value.isoformat()}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    return value


def _untagged(value: Any) -> KeyValue:
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        return pd.Timestamp(text) if tag == "timestamp" else dt.date.fromisoformat(text)
    return value
