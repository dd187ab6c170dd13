"""The tables of a history: their columns, and how their files are divided.

Rows of a version are written as a whole or not at all, and a version counts once its row stands in `versions`.
"""

from dataclasses import dataclass

import pyarrow as pa

from metamodel.bundle.ledger import COLUMNS

__all__ = ["CHILDREN", "EVENTS", "LINEAGE", "MONITOR", "OF_LEDGER", "TABLES", "VERSIONS", "HistoryTable"]

_TYPES = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}

# Of the ledger's columns: what stands in `lineage` for every group, and where in a bundle a child lies.
_ELSEWHERE = ("level", "status", "sha256", "decision", "retrain_reason", "shard", "stack")

# What `children` says of a child, whatever the task and the options: null where a ledger has no such column.
OF_LEDGER = {
    name: _TYPES[column.type]
    for column in COLUMNS
    for name in dict.fromkeys([*column.names("regression"), *column.names("classification")])
    if name not in _ELSEWHERE
}


@dataclass(frozen=True)
class HistoryTable:
    """One table.

    Attributes
    ----------
    name
        Of its folder, and in SQL.
    schema
        Its columns.
    partition_by
        Columns whose values divide its files: what is written together, and again, has the same values there.
    """

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ("model", "version")


def _table(name: str, partition_by: tuple[str, ...], *columns: str, **further: pa.DataType) -> HistoryTable:
    """Declare a table: a column is a text, or of the type that stands behind its name."""
    fields = [(column.partition(":")[0], _KINDS[column.partition(":")[2]]) for column in columns]
    return HistoryTable(name, pa.schema([*fields, *further.items()]), partition_by)


_KINDS = {"": pa.string(), "whole": pa.int64(), "number": pa.float64()}

_OF_VERSION = ("model", "version")

# Of the run that made a version: on which data.
_OF_RUN = ("run_id", "data_digest", "data_source", "data_version:whole")

_COUNTS = ("groups", "fitted", "carried", "pooled", "skipped", "failed", "retired", "new_children")

# One row a version; written last.
VERSIONS = _table(
    "versions",
    ("model",),
    *("model", "version:whole", "created", "bundle", "task", "target", "group_by", "key_schema", "chain"),
    *_OF_RUN,
    *(f"{name}:whole" for name in _COUNTS),
)

# One row a version and group, parents included.
LINEAGE = _table(
    "lineage",
    _OF_VERSION,
    *("model", "version:whole", "key", "level:whole", "status", "sha256", "trained_at"),
    *("decision", "retrain_reason", "reason", "error"),
)

# One row a child, in the first version that has it.
CHILDREN = _table(
    "children", _OF_VERSION, "model", "version:whole", "key", "level:whole", "sha256", *_OF_RUN, **OF_LEDGER
)

# One row an event; `id` names it.
EVENTS = _table(
    "events",
    ("model",),
    *("model", "id", "time", "kind", "alias", "version:whole", "replaced:whole", "done_by"),
    *("gate", "approved_by", "note", "key", "group_version:whole"),
)

# One row a window and group, as `Monitoring.groups` has them.
MONITOR = _table(
    "monitor",
    ("model", "window"),
    *("model", "window", "version:whole", "key", "level:whole", "status", "answered_by", "rows:whole"),
    *("labelled:whole", "labelled_share:number", "p_drift:number", "p_performance:number", "error_effect:number"),
    *("coverage:number", "columns"),
)

TABLES = (VERSIONS, LINEAGE, CHILDREN, EVENTS, MONITOR)
