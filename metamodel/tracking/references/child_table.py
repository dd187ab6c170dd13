"""Tables of children: filled from a template, found in the registry, and read: canonical key → URI."""

import string
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlparse

import pandas as pd
from mlflow import MlflowClient

from metamodel.common.messages import listing, short
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.flavor.remote import check_tracking_server
from metamodel.tables.grouping import check_columns
from metamodel.tables.key_values import KeyValue
from metamodel.tables.keys import GroupKey, KeyColumn, KeySchema

__all__ = ["from_registry", "from_template", "read_uris"]


def from_template(template: str, keys: pd.DataFrame | None, schema: KeySchema) -> pd.DataFrame:
    """Fill a template with every key.

    Parameters
    ----------
    template
        Names group columns in braces, with a format where need be: ``{store:03d}``, ``{day:%Y-%m-%d}``. In the address
        of a web server, and in a ``file:`` URI, the values are quoted.
    keys
        Table with the group columns.
    schema
        The group columns.

    Returns
    -------
    DataFrame
        The group columns and `uri`, one row for every distinct key.

    Raises
    ------
    InputError
        The template cannot be filled with a key, or leads two of them to one place, or a key has a null.

    Examples
    --------
    >>> keys = pd.DataFrame({"country": ["FR", "DE"], "store": [7.0, 8.0]})
    >>> schema = KeySchema.infer(keys, ["country", "store"])
    >>> from_template("models:/sales-{country}-{store}@champion", keys, schema)["uri"].tolist()
    ['models:/sales-FR-7@champion', 'models:/sales-DE-8@champion']
    """
    if keys is None:
        raise InputError(f"The template {short(template)} needs a table of keys. Give keys=.")
    check_columns(keys, schema.names, "group column")
    fields = _fields(template, schema.names)
    filler = _Filler(quoted=urlparse(template).scheme in _QUOTED)
    filled: dict[GroupKey, str] = {}
    from_values: dict[str, GroupKey] = {}
    distinct = keys[schema.names].drop_duplicates().astype(object)
    readers = _readers(schema)
    for row in distinct.itertuples(index=False):
        key = tuple(reader.canonical(value) for reader, value in zip(readers, row, strict=True))
        if None in key:
            name = schema.names[key.index(None)]
            raise InputError(
                f"Group column {name!r} of the keys holds a null. Drop these rows, or give a table of URIs."
            )
        values = dict(zip(schema.names, key, strict=True))
        filled[key] = uri = filler.fill(template, values)
        named = tuple(values[field] for field in fields)
        if from_values.setdefault(uri, named) != named:
            raise InputError(
                f"The template leads {from_values[uri]} and {named} to one place, {redacted(uri)}. "
                "Part the columns by a character that no value holds, or give a table of URIs."
            )
    return pd.DataFrame(list(filled), columns=schema.names, dtype=object).assign(uri=list(filled.values()))


# Schemes of which readers take the quotes away again.
_QUOTED = ("http", "https", "file")

# What would lead elsewhere than to the place of that name.
_LEADING_AWAY = set("/\\:@?#")


class _Filler(string.Formatter):
    def __init__(self, *, quoted: bool) -> None:
        self._quoted = quoted

    def fill(self, template: str, values: Mapping[str, KeyValue]) -> str:
        try:
            return self.vformat(template, (), values)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"The template {short(template)} cannot be filled with {short(tuple(values.values()))} ({error}). "
                "Correct it, or give a table of URIs."
            ) from error

    def format_field(self, value: Any, format_spec: str) -> str:
        text = str(super().format_field(value, format_spec))
        odd = not text.strip(". ") or not text.isprintable() or (not self._quoted and set(text) & _LEADING_AWAY)
        if odd:
            raise InputError(f"The value {text!r} cannot stand in a URI. Format it, or give a table of URIs.")
        return quote(text, safe="") if self._quoted else text


def _fields(template: str, names: Sequence[str]) -> list[str]:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise InputError(f"The template {short(template)} cannot be read ({error}). Close every brace.") from error
    if odd := sorted(set(fields) - set(names)):
        raise InputError(f"The template names {listing(map(repr, odd))}, no group column. Use {listing(names)}.")
    return fields


def _readers(schema: KeySchema) -> list[KeyColumn]:
    """Group columns that read text, too: what files and tags hold is said by the example."""
    return [KeyColumn(column.name, column.kind, column.utc, from_text=True) for column in schema.columns]


def from_registry(filter_string: str, group_by: Sequence[str], alias: str | None = None) -> pd.DataFrame:
    """Search registered models; each has its key in tags named like the group columns.

    Parameters
    ----------
    filter_string
        MLflow's search syntax, such as ``tags.project = 'sales'``.
    group_by
        Group columns.
    alias
        Refer to this alias of each; default: to its latest version.

    Returns
    -------
    DataFrame
        The group columns, as text, and `uri`.

    Raises
    ------
    InputError
        Nothing was found, or a model lacks a tag.
    """
    check_tracking_server()
    client, models, token = MlflowClient(), [], None
    while True:
        page = client.search_registered_models(filter_string, max_results=500, page_token=token)
        models += list(page)
        token = page.token
        if not token:
            break
    if not models:
        raise InputError(f"No registered model fits {short(filter_string)}. Look at the models' tags.")
    if untagged := [model.name for model in models if not set(group_by) <= set(model.tags)]:
        raise InputError(
            f"The registered model {listing(untagged)} lacks a tag for each of {listing(group_by)}. "
            "Tag it with its key, or search for others."
        )
    rows = [{name: model.tags[name] for name in group_by} for model in models]
    uris = [f"models:/{model.name}@{alias}" if alias else f"models:/{model.name}/latest" for model in models]
    return pd.DataFrame(rows).assign(uri=uris)


def read_uris(table: pd.DataFrame, schema: KeySchema) -> dict[GroupKey, str]:
    """Read a table of children.

    Parameters
    ----------
    table
        The group columns and `uri`; a row whose last group columns are null is a parent.
    schema
        The group columns.

    Returns
    -------
    dict
        Canonical key → URI.

    Raises
    ------
    InputError
        A key or URI is missing, wrong, or there twice.
    """
    check_columns(table, [*schema.names, "uri"], "column")
    readers = _readers(schema)
    uris: dict[GroupKey, str] = {}
    for *values, uri in table[[*schema.names, "uri"]].astype(object).itertuples(index=False):
        key = tuple(reader.canonical(value) for reader, value in zip(readers, values, strict=True))
        while key and key[-1] is None:
            key = key[:-1]
        if None in key:
            raise InputError(
                f"The key {short(tuple(values))} has a null before a value. Fill it, or leave the row out."
            )
        if not isinstance(uri, str) or not uri.strip():
            raise InputError(f"The group {key} has no URI. Fill it, or leave the row out.")
        if key in uris:
            raise InputError(f"The group {key} is in the table twice. Keep one row for each group.")
        uris[key] = uri.strip()
    if not uris:
        raise InputError("The table of children is empty. Give one row for each group.")
    return uris
