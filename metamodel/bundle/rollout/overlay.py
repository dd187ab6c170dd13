"""Write what a challenger has otherwise than the champion: those children, values, stack rows and parents, no others.

An overlay is a bundle of its own, whose manifest is the challenger's; groups that are not in it are the champion's. No
child is opened. A group that the challenger does not know is in it as one without a child.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.carry.carried_shards import carry_shards, link_file
from metamodel.bundle.carry.carried_stacks import carried_stacks, put_together
from metamodel.bundle.group_values import write_group_values
from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME
from metamodel.bundle.reader import POOLED_DIR, SHARD_DIR, Bundle
from metamodel.bundle.shard_reader import open_shards
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.stored_stacks import write_stack
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.exceptions import CorruptBundle
from metamodel.tables.keys import decode_key, decode_keys

__all__ = ["OVERLAY_KEYS_NAME", "copy_bundle", "differing_groups", "write_overlay"]

# Encoded keys of all groups in an overlay, those without a child among them.
OVERLAY_KEYS_NAME = "overlay.parquet"

_Row = tuple[str, str, str]


def differing_groups(champion: Bundle, challenger: Bundle) -> set[str]:
    """Find the groups, and parents, whose child or numbers are not the same in both; their encoded keys.

    Raises
    ------
    CorruptBundle
        The challenger is damaged; a damaged child of the champion's differs from any.
    """
    before, now = _rows(champion), _rows(challenger)
    if damaged := [key for key, row in now.items() if row is None]:
        raise CorruptBundle(
            f"The challenger's child of group {damaged[0]} is damaged ({len(damaged):,} are). Restore the bundle."
        )
    keys = before.keys() | now.keys()
    differing = {key for key in keys if before.get(key) is None or before.get(key) != now.get(key)}
    return differing | _other_values(champion, challenger, sorted(keys - differing))


def write_overlay(champion: Bundle, challenger: Bundle, path: Path) -> int:
    """Write the overlay that makes the challenger of the champion.

    Parameters
    ----------
    champion, challenger
        Two versions of one model, neither of which refers to children elsewhere.
    path
        Directory to write.

    Returns
    -------
    int
        Number of groups in it.
    """
    keys = differing_groups(champion, challenger)
    with new_bundle(path) as (directory, _):
        there = carry_shards(challenger, keys, directory)
        _write_absent(directory, keys - there.keys())
        stacks = put_together(carried_stacks(challenger, keys))
        described = tuple(write_stack(directory, number, stack) for number, stack in enumerate(stacks))
        pooled, its = _pooled(challenger)
        if its != _pooled(champion)[1]:
            for name in pooled:
                link_file(challenger.path / name, directory / name)
        pq.write_table(pa.table({"key": pa.array(sorted(keys), pa.string())}), directory / OVERLAY_KEYS_NAME)
        values = _write_values(directory, champion, challenger, keys)
        manifest = replace(challenger.manifest, files={}, stacks=described, group_values=values)
        finish_bundle(directory, manifest, _ledger(challenger, keys))
    return len(keys)


def copy_bundle(bundle: Bundle, path: Path) -> None:
    """Give all files of a bundle a second name."""
    for name in (*bundle.manifest.files, MANIFEST_NAME, MANIFEST_DIGEST_NAME):
        link_file(bundle.path / name, path / name)


def _rows(bundle: Bundle) -> dict[str, _Row | None]:
    """Say what each group comes to; None where that is damaged."""
    rows: dict[str, _Row | None] = {}
    for shard in open_shards(bundle.path, bundle.manifest.files, SHARD_DIR):
        for key, row in shard.scan():
            # Whether it was fitted or carried says nothing of the child.
            rows[key] = None if row is None else (("", "", row.sha256) if row.sha256 else (row.status, row.reason, ""))
    return rows


def _other_values(champion: Bundle, challenger: Bundle, keys: list[str]) -> set[str]:
    before, now = champion.group_values, challenger.group_values
    if before is None or now is None or before.columns != now.columns:
        return set()  # the overlay holds all of them, or none
    groups = decode_keys(keys)
    same = [
        np.array_equal(one, other, equal_nan=True)
        for one, other in zip(before.of(groups, before.columns), now.of(groups, now.columns), strict=True)
    ]
    return {key for key, equal in zip(keys, same, strict=True) if not equal}


def _write_values(
    directory: Path, champion: Bundle, challenger: Bundle, keys: Collection[str]
) -> dict[str, Any] | None:
    before, now = champion.group_values, challenger.group_values
    if now is None:
        return None
    if before is None or before.columns != now.columns:
        keys = encoded_keys_of(challenger.ledger, challenger.manifest.keys)
    ordered = sorted(keys)
    numbers = now.of(decode_keys(ordered), now.columns)
    return write_group_values(directory, pd.DataFrame(numbers, index=ordered, columns=list(now.columns)))


def _write_absent(directory: Path, keys: Collection[str]) -> None:
    if not keys:
        return
    folder = directory / SHARD_DIR
    with ShardWriter(folder / f"{len(list(folder.glob('*.sqlite'))):05d}.sqlite") as shard:
        for key in sorted(keys):
            shard.add(ShardRow(key, len(decode_key(key)), "skipped", "unknown to this version"))


def _pooled(bundle: Bundle) -> tuple[list[str], Any]:
    """Files of the pooled model, and what tells it from another one."""
    files = {name: entry for name, entry in bundle.manifest.files.items() if name.startswith(f"{POOLED_DIR}/")}
    columns = (bundle.manifest.pooled or {}).get("columns")
    return list(files), ([entry.identity for entry in files.values()], columns)


def _ledger(challenger: Bundle, keys: Collection[str]) -> pd.DataFrame:
    ledger = challenger.ledger
    kept = [key in keys for key in encoded_keys_of(ledger, challenger.manifest.keys)]
    return ledger[np.array(kept, dtype=bool)].reset_index(drop=True)
