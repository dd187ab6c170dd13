"""A group's key as people type it on a command line: a JSON array, one bare value, or values between commas."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.tables.keys import GroupKey, KeySchema

__all__ = ["key_of_text"]


def key_of_text(text: str, schema: KeySchema, levels: Sequence[int] = ()) -> GroupKey:
    """Read the key of a group, or of a parent.

    Parameters
    ----------
    text
        ``["FR", 7]``, ``FR,7`` or, where there is one group column, ``ATL``. Between commas a value is what its column
        holds; one with a comma in it, or a null, is written as JSON.
    schema
        The group columns.
    levels
        How many values the key of a parent may have.

    Raises
    ------
    InputError
        The text is no key of so many columns, or a value is not what its column holds.

    Examples
    --------
    >>> import pandas as pd
    >>> schema = KeySchema.infer(pd.DataFrame({"country": ["FR"], "store": [7]}), ["country", "store"])
    >>> key_of_text('["FR", 7]', schema), key_of_text("FR,7", schema), key_of_text("FR", schema, levels=[1])
    (('FR', 7), ('FR', 7), ('FR',))
    """
    if text.lstrip().startswith("["):
        values, columns = _json_array(text), schema.columns
    else:
        values = [text] if len(schema.columns) == 1 else next(csv.reader([text], skipinitialspace=True), [])
        columns = tuple(replace(column, from_text=True) for column in schema.columns)
    typed = replace(schema, columns=columns)
    if len(values) in levels:
        return tuple(typed.canonical_value(i, value) for i, value in enumerate(values))
    return typed.canonical(tuple(values))


def _json_array(text: str) -> list[Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"{short(text)} is no JSON: {error}. Close every bracket and quotation mark.") from error
    return values if isinstance(values, list) else [values]
