"""Questions about one group: which child it had in each version, since when, on which data, and how good it was."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from metamodel.evaluation.metrics import PRIMARY
from metamodel.exceptions import InputError
from metamodel.lineage.generation import NAMED_BY
from metamodel.lineage.history_store import HistoryStore
from metamodel.lineage.table_schemas import CHILDREN, EVENTS, LINEAGE, MONITOR, VERSIONS
from metamodel.tables.key_text import key_of_text
from metamodel.tables.keys import GroupKey, KeySchema, decode_key, encode_key, encode_keys

__all__ = ["alarms_of", "events_of", "group_past", "key_in", "name_of_text", "parents_of", "versions_of"]

_OF_CHILD = [
    *(*NAMED_BY, "version", "data_through", "rows", "estimator", "params", "baseline", "skill"),
    *("run_id", "data_digest", "data_source", "data_version"),
]

_OF_LINEAGE = [
    *("version", "key", "level", "status", "decision", "retrain_reason", "reason", "error", "sha256", "trained_at"),
]


def versions_of(store: HistoryStore, model: str) -> pd.DataFrame:
    """Give a row for every version of a model that is whole in the history, the oldest first.

    Raises
    ------
    InputError
        There is none.
    """
    table = _frame(store.read(VERSIONS, None, ds.field("model") == model)).sort_values("version", ignore_index=True)
    if table.empty:
        raise InputError(
            f"The history {store.place!r} holds no version of {model!r}. Check the name, or add what is registered "
            f"with: metamodel history {model} --rebuild --history {store.place}"
        )
    return table


def key_in(versions: pd.DataFrame, group: Any) -> GroupKey:
    """Read the key of a group, or of a parent: a tuple, or a text as `key_of_text` takes it."""
    schema = KeySchema.from_dict(json.loads(versions["key_schema"].iloc[-1]))
    text = group if isinstance(group, str) else json.dumps(list(group), default=str)
    return key_of_text(text, schema, range(len(schema.columns)))


def group_past(store: HistoryStore, versions: pd.DataFrame, keys: Sequence[GroupKey]) -> pd.DataFrame:
    """Say which child some groups had in each version.

    Parameters
    ----------
    store
        The history.
    versions
        From `versions_of`.
    keys
        The groups, and parents.

    Returns
    -------
    DataFrame
        One row a version and group, the oldest first, a group before its parents: `version`, `key`, `level`, `status`,
        `decision`, `retrain_reason`, `reason`, `error`, `sha256`, `trained_at`, and of its child `child_version` (the
        first version that had it), `data_through`, `rows`, `estimator`, `params`, `holdout_<metric>`,
        `baseline_<metric>`, `baseline`, `skill`, `run_id`, `data_digest`, `data_source` and `data_version`.
    """
    model, metric = str(versions["model"].iloc[-1]), PRIMARY[str(versions["task"].iloc[-1])]
    texts = pa.array(encode_keys(keys), pa.string())
    of_groups = (ds.field("model") == model) & ds.field("key").isin(texts)
    rows = _frame(store.read(LINEAGE, _OF_LINEAGE, of_groups)).sort_values("version", kind="stable")
    rows = rows[rows["version"].isin(versions["version"])]
    figures = [f"{part}_{metric}" for part in ("holdout", "baseline")]
    # Files of versions that brought none of these children are not opened.
    named_by = list(NAMED_BY)
    brought = rows[(rows["sha256"] != "") & ~rows.duplicated(named_by)]
    of_versions = ds.field("version").isin(pa.array(sorted(set(brought["version"])), pa.int64()))
    children = _frame(store.read(CHILDREN, [*_OF_CHILD, *figures], of_groups & of_versions)).rename(
        columns={"version": "child_version"}
    )
    joined = rows.merge(children, on=named_by, how="left")
    joined = joined.sort_values(["version", "level", "child_version"], ascending=[True, False, True])
    columns = [*_OF_LINEAGE, "child_version", *(name for name in _OF_CHILD if name not in _OF_LINEAGE)]
    columns[columns.index("baseline") : columns.index("baseline")] = figures
    return joined.drop_duplicates(["version", "key"], keep="first")[columns].reset_index(drop=True)


def events_of(store: HistoryStore, model: str) -> pd.DataFrame:
    """Give a row for every event of a model, the oldest first."""
    events = _frame(store.read(EVENTS, None, ds.field("model") == model))
    return events.sort_values(["time", "id"], ignore_index=True)


def alarms_of(store: HistoryStore, model: str, key: GroupKey) -> pd.DataFrame:
    """Give a row for every window in which monitoring raised an alarm over a group, the oldest first."""
    wanted = (ds.field("model") == model) & (ds.field("key") == encode_key(key))
    alarms = wanted & ds.field("status").isin(["drift", "performance"])
    return _frame(store.read(MONITOR, None, alarms)).sort_values("window", ignore_index=True)


def parents_of(key: GroupKey) -> list[GroupKey]:
    """Give a key, and those of its parents, the nearest first.

    Examples
    --------
    >>> parents_of(("FR", 7))
    [('FR', 7), ('FR',), ()]
    """
    return [key[:length] for length in range(len(key), -1, -1)]


def name_of_text(key: str) -> str:
    """Name a group by its encoded key, for people.

    Examples
    --------
    >>> name_of_text('["FR",7]'), name_of_text("[]")
    ('["FR",7]', 'all groups')
    """
    return key if decode_key(key) else "all groups"


def _frame(table: pa.Table) -> pd.DataFrame:
    integers = {pa.int64(): pd.Int64Dtype()}
    return table.to_pandas(types_mapper=integers.get)
