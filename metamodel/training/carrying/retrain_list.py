"""A table of groups that somebody, or a monitor, wants retrained."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.common.messages import count, listing, short
from metamodel.exceptions import InputError, InvalidKey
from metamodel.tables import files
from metamodel.tables.dataframes import as_pandas
from metamodel.tables.keys import GroupKey, KeySchema, decode_key, encode_key

__all__ = ["read_retrain_list"]


def read_retrain_list(table: Any, keys: KeySchema, known: Collection[GroupKey]) -> dict[str, str]:
    """Read which groups are listed.

    Parameters
    ----------
    table
        A DataFrame, a list of dicts or of keys, or a file's path. It has the group columns, or `key` (encoded, as a
        monitor writes it); `reasons` says why, and where `blocked` is true a row does not count. None for no list.
    keys
        The group columns.
    known
        Every group of this training, of all levels.

    Returns
    -------
    dict
        Encoded key → why; "listed" where the table does not say.

    Raises
    ------
    InputError
        It is no such table, or names a group that is not there.
    """
    if table is None or (isinstance(table, str) and not table):
        return {}
    from_file = isinstance(table, str | Path)
    listed: dict[str, str] = {}
    unknown: list[GroupKey] = []
    groups = set(known)
    columns = tuple(replace(column, from_text=column.from_text or from_file) for column in keys.columns)
    schema = replace(keys, columns=columns)
    for record in _records(table, keys):
        if record.get("blocked") is True:
            continue
        key = _key_of(record, schema)
        if key in groups:
            listed[encode_key(key)] = _why(record)
        else:
            unknown.append(key)
    if unknown:
        raise InputError(
            f"retrain_list names {count(len(unknown), 'group')} that this table does not have: "
            f"{listing(map(str, unknown), 3)}. Correct the list, or give their rows."
        )
    return listed


def _records(table: Any, keys: KeySchema) -> list[Mapping[str, Any]]:
    if isinstance(table, str | Path):
        table = files.read_table(table, keys.names, keys.names)
    frame = as_pandas(table)
    records = frame.to_dict(orient="records") if frame is not None else table
    if isinstance(records, list):
        bare = [one if isinstance(one, Mapping) else _of_bare_key(one, keys) for one in records]
        if all(isinstance(one, Mapping) and ("key" in one or set(keys.names) <= one.keys()) for one in bare):
            return bare
    held = f"={short(table)}" if frame is None else f" has the columns {listing(frame.columns)}, and"
    raise InputError(f"retrain_list{held} does not name groups. Give a table with {listing(keys.names)}, or with key.")


def _of_bare_key(key: Any, keys: KeySchema) -> Any:
    values = key if isinstance(key, tuple) else (key,)
    return dict(zip(keys.names, values, strict=True)) if len(values) == len(keys.names) else None


def _key_of(record: Mapping[str, Any], keys: KeySchema) -> GroupKey:
    if not set(keys.names) <= record.keys():
        try:
            return decode_key(str(record["key"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"retrain_list has the key {short(record['key'])}, which is none. Correct it.") from error
    values = [record[name] for name in keys.names]
    try:
        return keys.canonical(tuple(values))
    except InvalidKey as error:
        raise InputError(f"retrain_list has a key that is none. {error}") from error


def _why(record: Mapping[str, Any]) -> str:
    why = record.get("reasons", record.get("reason"))
    if isinstance(why, str):
        return why or "listed"
    if why is None or (not isinstance(why, list | tuple) and not hasattr(why, "tolist") and pd.isna(why)):
        return "listed"
    parts = why.tolist() if hasattr(why, "tolist") else why
    return ", ".join(map(str, parts)) if isinstance(parts, list | tuple) and parts else "listed"
