"""What tasks hand back beside children and ledger rows: held-out predictions and importances, as columns.

A task writes them beside its shard; on Spark they travel as Arrow streams. At the end they become two files of the
bundle, whatever the number of groups.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from metamodel.common.arrays import AnyArray
from metamodel.common.background import Background
from metamodel.evaluation.holdout import HeldOut, level_column
from metamodel.evaluation.importance import Importance
from metamodel.tables.arrow import write_parquet
from metamodel.tables.keys import GroupKey, decode_keys

__all__ = [
    "HOLDOUT_NAME",
    "IMPORTANCE_NAME",
    "Evidence",
    "EvidenceBuilder",
    "gather_holdouts",
    "gather_importance",
    "write_evidence",
]

HOLDOUT_NAME = "holdout.parquet"

IMPORTANCE_NAME = "importance.parquet"

# Importances of this many features of a group are kept, the largest first.
_FEATURES = 50

_SUFFIXES = (".holdout", ".importance")

_Part = tuple[Sequence[str], pa.Table | None]


@dataclass(frozen=True)
class Evidence:
    """Two tables about the groups of one task.

    Parameters
    ----------
    holdout
        `group`, `row`, `actual`, `predicted` and, where there are any, `time`, `weight` and `child`; None without
        held-out rows.
    importance
        `group`, `feature` (its position), `share`, `coefficient`; None without importances.
    """

    holdout: pa.Table | None = None
    importance: pa.Table | None = None

    def write(self, path: Path) -> None:
        """Write `path` with other suffixes, each file complete or not at all."""
        for table, suffix in zip((self.holdout, self.importance), _SUFFIXES, strict=True):
            if table is not None:
                unfinished = path.with_suffix(f".unfinished-{os.getpid()}")
                feather.write_feather(table, unfinished, compression="zstd")
                unfinished.rename(path.with_suffix(suffix))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Inverse of `write`."""
        files = [path.with_suffix(suffix) for suffix in _SUFFIXES]
        return cls(*(feather.read_table(file) if file.is_file() else None for file in files))

    def to_bytes(self) -> tuple[bytes | None, bytes | None]:
        """Two Arrow streams."""
        return _stream(self.holdout), _stream(self.importance)

    @classmethod
    def from_bytes(cls, holdout: bytes | None, importance: bytes | None) -> Self:
        """Inverse of `to_bytes`."""
        streams = (None if part is None else pa.ipc.open_stream(part).read_all() for part in (holdout, importance))
        return cls(*streams)

    @classmethod
    def together(cls, parts: Iterable["Evidence"]) -> Self:
        """Put the tables of several parts behind one another."""
        parts = list(parts)
        return cls(_together(part.holdout for part in parts), _together(part.importance for part in parts))


@dataclass
class EvidenceBuilder:
    """Gathers the evidence of one group after the other."""

    _held: list[tuple[int, HeldOut]] = field(default_factory=list)
    _importances: list[tuple[int, Importance]] = field(default_factory=list)

    def add(self, group: int, held: HeldOut | None, importance: Importance | None) -> None:
        """Add one group under a number."""
        if held is not None and len(held):
            self._held.append((group, held))
        if importance is not None:
            self._importances.append((group, importance))

    def finish(self) -> Evidence:
        """Make tables of what was added."""
        return Evidence(
            _holdout_table(self._held) if self._held else None,
            _importance_table(self._importances) if self._importances else None,
        )


def _holdout_table(parts: Sequence[tuple[int, HeldOut]]) -> pa.Table:
    columns: dict[str, AnyArray] = {
        "group": np.repeat([group for group, _ in parts], [len(held) for _, held in parts]),
        "row": np.concatenate([held.rows for _, held in parts]),
        "actual": np.concatenate([held.actual for _, held in parts]),
        "predicted": np.concatenate([held.predicted for _, held in parts]),
    }
    if parts[0][1].times is not None:
        columns["time"] = np.concatenate([held.times for _, held in parts if held.times is not None])
    if parts[0][1].weights is not None:
        columns["weight"] = np.concatenate([held.weights for _, held in parts if held.weights is not None])
    if parts[0][1].children is not None:
        columns["child"] = np.concatenate([held.children for _, held in parts if held.children is not None])
    return pa.table({name: pa.array(values, from_pandas=False) for name, values in columns.items()})


def _importance_table(parts: Sequence[tuple[int, Importance]]) -> pa.Table:
    chosen = [np.argsort(-one.share, kind="stable")[:_FEATURES] for _, one in parts]
    columns = {
        "group": np.repeat([group for group, _ in parts], [len(features) for features in chosen]),
        "feature": np.concatenate(chosen),
        "share": np.concatenate([one.share[features] for (_, one), features in zip(parts, chosen, strict=True)]),
        "coefficient": np.concatenate(
            [one.coefficient[features] for (_, one), features in zip(parts, chosen, strict=True)]
        ),
    }
    return pa.table(columns)


def _stream(table: pa.Table | None) -> bytes | None:
    if table is None:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _together(tables: Iterable[pa.Table | None]) -> pa.Table | None:
    found = [table for table in tables if table is not None]
    return pa.concat_tables(found, promote_options="permissive") if found else None


def gather_holdouts(
    parts: Sequence[_Part], depth: int, levels: Sequence[int], *, of_parents: bool = False
) -> dict[int, pd.DataFrame]:
    """Make one table a level of all rows that its groups held back, with what each parent said of the same row.

    Parameters
    ----------
    parts
        For every task the encoded keys that its group numbers stand for, and its table.
    depth
        Number of group columns.
    levels
        Levels of the parents.
    of_parents
        Make the tables of the parents' own rows too.

    Returns
    -------
    dict
        `depth`, and each of `levels` if they are wanted → DataFrame with `key` (categorical, encoded), `row`, `time`
        and `weight` where there is one, `actual`, `predicted`, and for each shorter level the parent's prediction: null
        where the parent did not hold this row back, or has no evaluation. Those of parents have `child` too
        (`holdout.child_ids`), 0 where it is not known.
    """
    every, names = _together_by_name([(keys, _with_child(table)) for keys, table in parts])
    if not len(every):
        empty = pd.DataFrame({"key": pd.Categorical([]), "row": [], "actual": [], "predicted": []})
        empty_tables = {level: empty.assign(child=np.zeros(0, dtype=np.int64)) for level in levels if of_parents}
        return {depth: empty, **empty_tables}
    keys = decode_keys(names)
    lengths = np.asarray([len(key) for key in keys])[every["group"]]
    parents = {level: every[lengths == level] for level in levels}
    tables = {depth: _of_level(every[lengths == depth], parents, names, keys)}
    for level, rows in parents.items() if of_parents else ():
        shorter = {other: parents[other] for other in levels if other < level}
        tables[level] = _of_level(rows, shorter, names, keys, ["child"])
    return tables


def _of_level(
    rows: pd.DataFrame,
    parents: Mapping[int, pd.DataFrame],
    names: Sequence[str],
    keys: Sequence[GroupKey],
    more: Sequence[str] = (),
) -> pd.DataFrame:
    order = ["group", *(["time"] if "time" in rows else []), "row"]
    rows = rows.sort_values(order, kind="stable", ignore_index=True)
    for level, others in parents.items():
        rows[level_column(level)] = _parents_said(rows, others, keys, level)
    if "time" in rows and rows["time"].dtype == np.int64:  # not a number of the caller's: a time, in UTC
        rows["time"] = rows["time"].astype("datetime64[us]")
    key = pd.Categorical.from_codes(rows["group"], categories=names).remove_unused_categories()
    said = [level_column(level) for level in parents]
    weight = ["weight"] if "weight" in rows else []
    return rows.assign(key=key)[["key", *order[1:][::-1], *weight, *more, "actual", "predicted", *said]]


def _with_child(table: pa.Table | None) -> pa.Table | None:
    """Fill what a training without parents left out; beside nulls the others' numbers would become floats."""
    if table is None or "child" in table.column_names:
        return table
    return table.append_column("child", pa.array(np.zeros(table.num_rows, dtype=np.int64)))


def _together_by_name(parts: Sequence[_Part]) -> tuple[pd.DataFrame, list[str]]:
    """Put tables behind one another, with numbers for the groups that follow the order of their encoded keys."""
    tables = [(keys, table) for keys, table in parts if table is not None]
    names = sorted({keys[group] for keys, table in tables for group in pc.unique(table["group"]).to_pylist()})
    number = {name: i for i, name in enumerate(names)}
    renumbered = []
    for keys, table in tables:
        numbers = np.asarray([number.get(key, -1) for key in keys], dtype=np.int64)  # no row is of a group without one
        position = table.column_names.index("group")
        renumbered.append(table.set_column(position, "group", pa.array(numbers[table["group"].to_numpy()])))
    every = _together(renumbered)
    return (pd.DataFrame({"group": []}) if every is None else every.to_pandas()), names


def _parents_said(rows: pd.DataFrame, parents: pd.DataFrame, keys: Sequence[GroupKey], level: int) -> AnyArray:
    """Look every row up among the rows that the parent of its group held back; equal rows have one prediction."""
    number = {key: i for i, key in enumerate(keys) if len(key) == level}
    parent_of = np.asarray([number.get(key[:level], -1) for key in keys])
    wanted = pd.DataFrame({"group": parent_of[rows["group"]], "row": rows["row"].to_numpy()})
    known = parents[["group", "row", "predicted"]].drop_duplicates(["group", "row"])
    said: AnyArray = wanted.merge(known, on=["group", "row"], how="left")["predicted"].to_numpy()
    return said


def gather_importance(parts: Sequence[_Part], features: Sequence[str]) -> pd.DataFrame:
    """Make one table of the importances of all groups of all levels.

    Returns
    -------
    DataFrame
        `key` (encoded), `level`, `feature`, `share`, `coefficient`.
    """
    every, names = _together_by_name(parts)
    columns = ["key", "level", "feature", "share", "coefficient"]
    if not len(every):
        return pd.DataFrame(columns=columns)
    levels = np.asarray([len(key) for key in decode_keys(names)])
    every = every.assign(
        key=pd.Categorical.from_codes(every["group"], categories=names),
        level=levels[every["group"]],
        feature=pd.Categorical.from_codes(every["feature"], categories=list(features)),
    )
    order = every.assign(up=-every["level"]).sort_values(["up", "group"], kind="stable", ignore_index=True)
    return order[columns]


def write_evidence(
    directory: Path, holdout: pd.DataFrame, importance: pd.DataFrame, background: Background | None = None
) -> None:
    """Write the two files of a bundle, each only where it has rows; `background` as for `write_parquet`."""
    for table, name in ((holdout, HOLDOUT_NAME), (importance, IMPORTANCE_NAME)):
        if len(table):
            write_parquet(table, directory / name, row_group_size=100_000, background=background)
