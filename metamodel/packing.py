"""Build the stacks of a bundle: at the end of training, or later from a table of real rows.

Every child is compared with its stack on rows of its own group; what the comparison refuses is answered by the child,
and the ledger's column `stack` says why.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from metamodel.bundle import Bundle, finish_bundle, new_bundle
from metamodel.codecs import get_codec
from metamodel.evidence import HOLDOUT_NAME, IMPORTANCE_NAME
from metamodel.features import FeatureTable
from metamodel.fitting import error_text
from metamodel.frames import AnyArray, Grouping, IntArray, group_rows
from metamodel.keys import GroupKey, encode_key
from metamodel.ledger import keys_of
from metamodel.manifest import Manifest
from metamodel.planning import Plan, TablePlan
from metamodel.shards import ShardReader, ShardRow
from metamodel.stacking import BuiltStack, StackBuilder, may_stack
from metamodel.stacks import write_stacks

__all__ = ["stack_bundle", "stack_plan"]

# Rows of each group on which child and stack are compared.
_COMPARED_ROWS = 16


def stack_plan(directory: Path, plan: Plan, manifest: Manifest, ledger: pd.DataFrame) -> tuple[Manifest, pd.DataFrame]:
    """Add stacks to a bundle that training is about to finish, compared on training rows.

    Parameters
    ----------
    directory
        The unfinished bundle, with its shards.
    plan
        What was trained. Without its table, as after training on Spark, nothing is stacked; `stack_bundle` can do it
        later.
    manifest, ledger
        As they are without stacks.

    Returns
    -------
    manifest, ledger
        The manifest with `stacks`, the ledger with its column `stack`.
    """
    if not plan.options.stack:
        return manifest, ledger.assign(stack="not asked for")
    if not any(may_stack(candidate.estimator) for candidate in plan.spec.candidates):
        return _recorded(directory, manifest, ledger, [], {}, "no stack for this estimator here")
    if not isinstance(plan, TablePlan):
        return _recorded(directory, manifest, ledger, [], {}, "no rows at hand to compare on")
    rows = _rows_by_key(plan.grouping, plan.levels)
    table = plan.table.features
    stacks, refused = _build(directory, manifest, lambda key: _sample(table, rows.get(key)))
    return _recorded(directory, manifest, ledger, stacks, refused)


def stack_bundle(path: str | Path, data: pd.DataFrame) -> Manifest:
    """Give an existing bundle stacks, or new ones.

    Parameters
    ----------
    path
        The bundle's directory; it is replaced in one moment, and has a new digest afterwards.
    data
        Real rows with the group columns and the features. A child without rows here is not stacked.

    Returns
    -------
    Manifest
        The manifest of the new bundle; `stacks` says what was built.

    Raises
    ------
    UnreadableBundle
        There is no bundle at `path`.
    MissingColumns
        The table lacks a column.
    """
    bundle = Bundle(path)
    manifest = replace(bundle.manifest, stacks=())
    table = manifest.features.table(data)
    rows = _rows_by_key(group_rows(data, manifest.keys), manifest.levels)
    with new_bundle(bundle.path.absolute()) as (directory, _):
        for name in manifest.files:
            if name.startswith("shards/") or name in (HOLDOUT_NAME, IMPORTANCE_NAME):
                _link(bundle.path / name, directory / name)
        stacks, refused = _build(directory, manifest, lambda key: _sample(table, rows.get(key)))
        manifest, ledger = _recorded(directory, manifest, bundle.ledger, stacks, refused)
        return finish_bundle(directory, manifest, ledger)


def _build(
    directory: Path, manifest: Manifest, rows_of: Callable[[str], AnyArray | None]
) -> tuple[list[BuiltStack], dict[str, str]]:
    builder = StackBuilder(manifest.features, manifest.target.classes)
    if manifest.features.layout != "array":
        return [], {}
    codec = get_codec(manifest.codec)
    for row in _children(directory):
        rows = rows_of(row.key)
        if rows is None:
            builder.refused[row.key] = "no rows to compare on"
            continue
        try:
            child = codec.loads(row.child or b"")
        except Exception as error:  # noqa: BLE001 - a codec raises whatever the child's own code raises
            builder.refused[row.key] = f"cannot be loaded: {error_text(error)}"
            continue
        builder.add(row.key, row.sha256, child, rows)
    return builder.finish(), builder.refused


def _children(directory: Path) -> Iterator[ShardRow]:
    for path in sorted((directory / "shards").glob("*.sqlite")):
        yield from ShardReader(path, path.stat().st_size).fitted()


def _recorded(
    directory: Path,
    manifest: Manifest,
    ledger: pd.DataFrame,
    stacks: list[BuiltStack],
    refused: dict[str, str],
    otherwise: str = "not read",
) -> tuple[Manifest, pd.DataFrame]:
    stacked = {key for stack in stacks for key in stack.keys}
    otherwise = "the children take frames" if manifest.features.layout != "array" else otherwise
    reasons = []
    for key, status in zip(map(encode_key, keys_of(ledger, manifest.keys)), ledger["status"], strict=True):
        has_child = status in ("fitted", "carried")
        reasons.append("" if key in stacked else refused.get(key, otherwise) if has_child else "no child")
    described = tuple(write_stacks(directory, stacks))
    return replace(manifest, stacks=described), ledger.assign(stack=reasons)


def _sample(table: FeatureTable, rows: IntArray | None) -> AnyArray | None:
    if rows is None:
        return None
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, _COMPARED_ROWS).astype(np.int64))]
    if table.problems:
        chosen = chosen[[row not in table.problems for row in chosen.tolist()]]
    return np.asarray(table.values)[chosen]


def _rows_by_key(grouping: Grouping, levels: Sequence[int]) -> dict[str, IntArray]:
    rows = {
        key: grouping.order[grouping.bounds[i] : grouping.bounds[i + 1]]
        for i, key in enumerate(grouping.keys)
        if isinstance(key, tuple)
    }
    found: dict[GroupKey, IntArray] = dict(rows)
    for level in levels:
        parents: dict[GroupKey, list[IntArray]] = {}
        for key, positions in rows.items():
            parents.setdefault(key[:level], []).append(positions)
        found |= {key: np.concatenate(parts) for key, parts in parents.items()}
    return {encode_key(key): positions for key, positions in found.items()}


def _link(source: Path, target: Path) -> None:
    # The same bytes under a second name where the file system can, else a copy.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
