"""The rows that one version of a model adds to a history: made of its ledger and its manifest alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.manifest import Manifest
from metamodel.common.group_status import OUTCOMES
from metamodel.lineage.table_schemas import CHILDREN, LINEAGE, VERSIONS
from metamodel.tables.keys import encode_keys

__all__ = [
    "NAMED_BY",
    "Generation",
    "TrainingData",
    "children_rows",
    "lineage_rows",
    "named_children",
    "version_row",
    "with_carried",
]

# What tells a child from all others: whose it is, its bytes, and when it was fitted.
NAMED_BY = ("key", "sha256", "trained_at")


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """On which data a version was trained.

    Attributes
    ----------
    run_id
        The run that made the version.
    digest
        MLflow's digest of the training table; "" where it was not logged.
    source
        Where the table came from.
    version
        Of a Delta table; None of others.
    """

    run_id: str = ""
    digest: str = ""
    source: str = ""
    version: int | None = None

    def cells(self) -> dict[str, Any]:
        """Give the values of the columns."""
        facts = {"data_digest": self.digest, "data_source": self.source, "data_version": self.version}
        return {"run_id": self.run_id, **facts}


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One registered version.

    Attributes
    ----------
    model, version
        Name of the registered model, and number of the version.
    manifest, digest
        Of the bundle.
    ledger
        Of the bundle: one row a group, parents included.
    data
        What it was trained on.
    """

    model: str
    version: int
    manifest: Manifest
    digest: str
    ledger: pd.DataFrame
    data: TrainingData

    @property
    def of(self) -> dict[str, Any]:
        """What names its rows in every table."""
        return {"model": self.model, "version": self.version}

    @cached_property
    def keys(self) -> list[str]:
        """The encoded key of each row of the ledger."""
        return encode_keys(keys_of(self.ledger, self.manifest.keys))


def lineage_rows(generation: Generation) -> pa.Table:
    """Make a row for every group, ordered by encoded key."""
    ledger, size = generation.ledger, len(generation.ledger)
    columns = {name: [value] * size for name, value in generation.of.items()}
    columns["key"] = generation.keys
    rows = {name: columns.get(name, ledger.get(name)) for name in LINEAGE.schema.names}
    return _arrow(rows, size, LINEAGE.schema).sort_by("key")


def children_rows(generation: Generation, known: pa.Array) -> pa.Table:
    """Make a row for every child that no version before has had, ordered by encoded key.

    Parameters
    ----------
    generation
        The version.
    known
        `named_children` of the children of all versions before.
    """
    ledger = generation.ledger
    chosen = (ledger["sha256"] != "") & ~_is_known(generation, known)
    made, size = ledger[chosen], int(chosen.sum())
    columns = {name: [value] * size for name, value in (generation.of | generation.data.cells()).items()}
    columns["key"] = pd.Series(generation.keys, index=ledger.index)[chosen].tolist()
    rows = {name: columns.get(name, made.get(name)) for name in CHILDREN.schema.names}
    return _arrow(rows, size, CHILDREN.schema).sort_by("key")


def with_carried(generation: Generation, known: pa.Array) -> Generation:
    """Call a child carried that a version before has had, though its ledger says that it was fitted.

    So it is where a version was made of finished bundles: a roll-out, a packed model, a training logged twice.
    """
    again = (generation.ledger["status"] == "fitted") & _is_known(generation, known)
    if not again.any():
        return generation
    said = {"status": "carried", "decision": "carried", "retrain_reason": ""}
    columns = {name: generation.ledger[name].mask(again, value) for name, value in said.items()}
    return replace(generation, ledger=generation.ledger.assign(**columns))


def named_children(children: pa.Table) -> pa.Array:
    """Name children: two groups may have equal children, and a group's child may be fitted to the same bytes again.

    Parameters
    ----------
    children
        With the columns of `NAMED_BY`.
    """
    named = pc.binary_join_element_wise(*(children[name] for name in NAMED_BY), "\n")
    return named.combine_chunks() if isinstance(named, pa.ChunkedArray) else named


def _is_known(generation: Generation, known: pa.Array) -> pd.Series:
    ledger = generation.ledger
    columns = {"key": generation.keys, "sha256": ledger["sha256"], "trained_at": ledger["trained_at"]}
    ids = named_children(pa.table({name: pa.array(columns[name], pa.string()) for name in NAMED_BY}))
    return pd.Series(pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False), index=ledger.index)


def version_row(generation: Generation, new_children: int) -> pa.Table:
    """Make the version's own row."""
    manifest, ledger = generation.manifest, generation.ledger
    statuses = ledger.loc[ledger["level"] == len(manifest.keys.columns), "status"].value_counts()
    row: Mapping[str, Any] = {
        **generation.of,
        **generation.data.cells(),
        **{status: int(statuses.get(status, 0)) for status in OUTCOMES},
        "created": manifest.created,
        "bundle": generation.digest,
        "task": manifest.target.task,
        "target": manifest.target.name,
        "group_by": json.dumps(list(manifest.keys.names), ensure_ascii=False),
        "key_schema": json.dumps(manifest.keys.to_dict(), ensure_ascii=False),
        "chain": json.dumps(list(manifest.answering_chain)),
        "groups": int(statuses.sum()),
        "new_children": new_children,
    }
    return _arrow({name: [row[name]] for name in VERSIONS.schema.names}, 1, VERSIONS.schema)


def _arrow(columns: Mapping[str, Any], size: int, schema: pa.Schema) -> pa.Table:
    """Make a table of one schema, whatever the columns come as; None is a column of nulls."""
    arrays = [_array(columns[field.name], size, field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Any, size: int, field: pa.Field) -> pa.Array:
    if values is None:
        return pa.nulls(size, field.type)
    if isinstance(values, pd.Series) and pa.types.is_integer(field.type):
        values = pd.array(values, dtype="Int64")  # of integers that may be missing, pandas makes floats
    array = pa.array(values, from_pandas=True)
    return array.cast(field.type)
