"""Tables of children: filled from a template, found in the registry, and read: canonical key → URI."""

import string
from collections.abc import Sequence

import pandas as pd
from mlflow import MlflowClient

from metamodel.exceptions import InputError
from metamodel.frames import check_columns
from metamodel.keys import GroupKey, KeyColumn, KeySchema
from metamodel.wording import listing, short

__all__ = ["from_registry", "from_template", "read_uris"]


def from_template(template: str, keys: pd.DataFrame | None, group_by: Sequence[str]) -> pd.DataFrame:
    """Fill a template with every key.

    Parameters
    ----------
    template
        Names group columns in braces.
    keys
        Table with the group columns.
    group_by
        Group columns.

    Returns
    -------
    DataFrame
        The group columns and `uri`, one row for every distinct key.

    Examples
    --------
    >>> keys = pd.DataFrame({"country": ["FR", "DE"], "store": [7, 8]})
    >>> from_template("models:/sales-{country}-{store}@champion", keys, ["country", "store"])["uri"].tolist()
    ['models:/sales-FR-7@champion', 'models:/sales-DE-8@champion']
    """
    if keys is None:
        raise InputError(f"The template {short(template)} needs a table of keys. Give keys=.")
    check_columns(keys, group_by, "group column")
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise InputError(f"The template {short(template)} cannot be read ({error}). Close every brace.") from error
    if odd := sorted(set(fields) - set(group_by)):
        raise InputError(f"The template names {listing(map(repr, odd))}, no group column. Use {listing(group_by)}.")
    distinct = keys[list(group_by)].drop_duplicates().reset_index(drop=True)
    values = [dict(zip(group_by, row, strict=True)) for row in distinct.astype(object).itertuples(index=False)]
    return distinct.assign(uri=[template.format(**row) for row in values])


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
    client, found, token = MlflowClient(), [], None
    while True:
        page = client.search_registered_models(filter_string, max_results=500, page_token=token)
        found += list(page)
        token = page.token
        if not token:
            break
    if not found:
        raise InputError(f"No registered model fits {short(filter_string)}. Look at the models' tags.")
    if untagged := [model.name for model in found if not set(group_by) <= set(model.tags)]:
        raise InputError(
            f"The registered model {listing(untagged)} lacks a tag for each of {listing(group_by)}. "
            "Tag it with its key, or search for others."
        )
    rows = [{name: model.tags[name] for name in group_by} for model in found]
    uris = [f"models:/{model.name}@{alias}" if alias else f"models:/{model.name}/latest" for model in found]
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
    # Files and tags hold text; what a key column holds is said by the example.
    readers = [KeyColumn(column.name, column.kind, column.utc, from_text=True) for column in schema.columns]
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
