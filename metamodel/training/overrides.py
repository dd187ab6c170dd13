"""Exceptions for single groups: a small table that says who is fitted otherwise, or not at all."""

import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from metamodel.common.messages import did_you_mean, listing, short
from metamodel.exceptions import InputError, InvalidKey
from metamodel.tables.dataframes import as_pandas
from metamodel.tables.keys import GroupKey, KeySchema

__all__ = ["Override", "canonical_keys", "place", "read_overrides"]

_COLUMNS = ("estimator", "estimator_params", "min_rows", "skip")


@dataclass(frozen=True)
class Override:
    """What one group does otherwise; None where it does as all others.

    Parameters
    ----------
    key
        Values of the group columns, as the table of overrides holds them.
    estimator, estimator_params, min_rows
        As in `metamodel.train`; parameters without an estimator are set on the estimator of all groups.
    skip
        Whether the group gets no child.
    from_text
        Whether the key may be text where the group columns hold others, as files have it.
    optional
        Whether the group may be missing: an update has tables without some groups.
    """

    key: tuple[Any, ...]
    estimator: Any = None
    estimator_params: Mapping[str, Any] | None = None
    min_rows: int | None = None
    skip: bool = False
    from_text: bool = False
    optional: bool = False

    @classmethod
    def read(cls, record: Mapping[str, Any], group_by: Sequence[str], from_text: bool = False) -> Self:
        """Check one row of the table."""
        given = {name: None if _is_missing(record.get(name)) else record[name] for name in _COLUMNS}
        key = tuple(record[name] for name in group_by)
        params, min_rows, skip = given["estimator_params"], given["min_rows"], given["skip"]
        if isinstance(params, str):
            try:
                params = json.loads(params)
            except ValueError as error:
                raise InputError(
                    f"Override of group {key}: {short(params)} is no JSON ({error}). Correct it."
                ) from error
        if params is not None and not isinstance(params, dict):
            raise InputError(
                f"Override of group {key}: estimator_params={short(params)} is no JSON object. Correct it."
            )
        if min_rows is not None and not _is_row_count(min_rows):
            raise InputError(f"Override of group {key}: min_rows={short(min_rows)} is no whole number of at least 1.")
        if skip not in (None, True, False):
            raise InputError(f"Override of group {key}: skip={short(skip)} is neither true nor false.")
        min_rows = None if min_rows is None else int(min_rows)
        return cls(key, given["estimator"], params, min_rows, bool(skip), from_text)


def read_overrides(table: Any, group_by: Sequence[str], from_text: bool = False) -> tuple[Override, ...]:
    """Check a table of overrides.

    Parameters
    ----------
    table
        A DataFrame or a list of dicts: the group columns, and any of `estimator`, `estimator_params` (a dict, or JSON),
        `min_rows` and `skip`; None for no table.
    group_by
        The group columns.
    from_text
        Whether the table comes from a file, where ``"7"`` may stand for 7.

    Raises
    ------
    InputError
        A column or a value is wrong.
    """
    if table is None:
        return ()
    frame = as_pandas(table)
    records = table if frame is None else frame.to_dict(orient="records")
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise InputError(f"overrides={short(table)} is no table. Give a DataFrame, a list of dicts, or a file's path.")
    for record in records:
        if missing := [name for name in group_by if name not in record]:
            raise InputError(
                f"An override lacks group column {listing(map(repr, missing))}. Name whole groups."
                f"{did_you_mean(missing, record)}"
            )
        if unknown := [name for name in record if name not in (*group_by, *_COLUMNS)]:
            raise InputError(
                f"Overrides have no column {listing(map(repr, unknown))}. "
                f"Use the group columns and {', '.join(_COLUMNS)}.{did_you_mean(unknown, (*group_by, *_COLUMNS))}"
            )
    return tuple(Override.read(record, group_by, from_text) for record in records)


def place(overrides: Sequence[Override], keys: KeySchema, known: Mapping[GroupKey, int]) -> list[GroupKey | None]:
    """Find the group of every override.

    Parameters
    ----------
    overrides
        From `read_overrides`.
    keys
        The group columns.
    known
        The groups of the training table.

    Returns
    -------
    list of key or None
        None where there is no such group, and need not be.

    Raises
    ------
    InputError
        There is no such group, or it has two overrides.
    """
    placed: list[GroupKey | None] = []
    for override, key in zip(overrides, canonical_keys(overrides, keys), strict=True):
        if key not in known and not override.optional:
            raise InputError(
                f"There is an override for group {key}, but the table has no such group ({len(known):,} known). "
                "Correct its key, or take it out."
            )
        if key in placed:
            raise InputError(f"Group {key} has two overrides. Keep one.")
        placed.append(key if key in known else None)
    return placed


def canonical_keys(overrides: Sequence[Override], keys: KeySchema) -> list[GroupKey]:
    """Give the key of every override as the group columns have it; raises `InputError` where it is none."""
    of_file = replace(keys, columns=tuple(replace(column, from_text=True) for column in keys.columns))
    canonical = []
    for override in overrides:
        try:
            key = (
                of_file.canonical(_plain_key(override.key, keys))
                if override.from_text
                else keys.canonical(override.key)
            )
        except InvalidKey as error:
            raise InputError(f"Override of group {override.key}: {error}") from error
        canonical.append(key)
    return canonical


def _plain_key(key: Sequence[Any], keys: KeySchema) -> tuple[Any, ...]:
    """Take "7.0" for "7" where a column holds integers: a table with nulls in it was written with floats."""
    return tuple(
        value.removesuffix(".0") if column.kind == "integer" and isinstance(value, str) else value
        for value, column in zip(key, keys.columns, strict=True)
    )


def _is_row_count(value: object) -> bool:
    """Whether it is a whole number of at least 1; a column with empty cells holds floats."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    number = float(value)
    return number.is_integer() and number >= 1


def _is_missing(value: object) -> bool:
    return value is None or (not isinstance(value, list | tuple | dict) and bool(pd.isna(value) is True))
