"""Build the stacks of a bundle: at the end of training, or later from a table of real rows.

Every child is compared with its stack on rows of its own group; what the comparison refuses is answered by the child,
and the ledger's column `stack` says why.
"""

import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.carry.carried_shards import link_file
from metamodel.bundle.carry.carried_stacks import put_together
from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.reader import LEDGER_NAME, Bundle
from metamodel.bundle.stored_stacks import STACK_DIR, write_stack
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.group_status import TRAINED
from metamodel.prediction.stacks import BuiltStack
from metamodel.prediction.stacks.builder import StackBuilder, why_not
from metamodel.prediction.stacks.verification import Proven
from metamodel.tables.features import FeatureTable
from metamodel.tables.grouping import Grouping, group_rows, spread
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.engines.joblib_pool import on_one_thread
from metamodel.training.plan import Plan, TablePlan
from metamodel.training.verify_stacks import parts_of, proven_children

__all__ = ["NO_STACKS", "CarriedStacks", "stack_bundle", "stack_plan"]

# Rows of each group on which child and stack are compared.
_COMPARED_ROWS = 16


@dataclass(frozen=True)
class CarriedStacks:
    """What is taken over from the stacks of the version before.

    Attributes
    ----------
    stacks
        Of the groups that are carried.
    reasons
        Encoded key → why a carried child was in no stack there.
    """

    stacks: Iterable[BuiltStack] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


NO_STACKS = CarriedStacks()


def stack_plan(
    directory: Path,
    plan: Plan,
    manifest: Manifest,
    ledger: pd.DataFrame,
    samples: Mapping[str, AnyArray],
    end: float = math.inf,
    carried: CarriedStacks = NO_STACKS,
) -> tuple[Manifest, pd.DataFrame]:
    """Add stacks to a bundle that training is about to finish, compared on training rows.

    Parameters
    ----------
    directory
        The unfinished bundle, with its shards.
    plan
        What was trained.
    manifest, ledger
        As they are without stacks.
    samples
        Encoded key → rows to compare on, where the plan holds no table: after training on Spark.
    end
        When the last child may be stacked, a point of the monotonic clock.
    carried
        What the stacks of the version before hold of groups that are carried.

    Returns
    -------
    manifest, ledger
        The manifest with `stacks`, the ledger with its column `stack`.
    """
    if not plan.options.stack:
        return manifest, ledger.assign(stack="not asked for")
    reasons = [why_not(candidate.estimator) for candidate in plan.spec.every_candidate]
    if all(reasons):
        otherwise = "; ".join(dict.fromkeys(reasons))
        return _recorded(manifest, ledger, _written(directory, carried.stacks, dict(carried.reasons)), otherwise)
    rows_of: Callable[[str], AnyArray | None] = samples.get
    if isinstance(plan, TablePlan):
        rows_of = _sampler(plan.table.features, _rows_by_key(plan.grouping, plan.levels, plan.fits))
    return _recorded(manifest, ledger, _pack(directory, manifest, rows_of, plan.options.n_jobs, end, carried))


def stack_bundle(
    path: str | Path, data: pd.DataFrame, output: str | Path | None = None, *, n_jobs: int = -1
) -> Manifest:
    """Give an existing bundle stacks, or new ones.

    Parameters
    ----------
    path
        The bundle's directory.
    data
        Real rows with the group columns and the features. A child without rows here is not stacked.
    output
        Where to write the bundle with stacks; by default it replaces the one at `path` in one moment. It has a new
        digest.
    n_jobs
        Worker processes, where there is work for several; -1 for one a core.

    Returns
    -------
    Manifest
        The manifest of the new bundle; `stacks` says what was built, the ledger's column `stack` what was not and why.

    Raises
    ------
    UnreadableBundle
        There is no bundle at `path`.
    MissingColumns
        The table lacks a column.
    InputError
        Something else than a bundle stands at `output`.
    """
    bundle = Bundle(path)
    manifest = replace(bundle.manifest, stacks=())
    table = manifest.features.table(data)
    rows = _rows_by_key(group_rows(data, manifest.keys), manifest.levels)
    with new_bundle(Path(os.path.abspath(output or bundle.path))) as (directory, _):
        for name in manifest.files:  # all but what is written anew
            if name != LEDGER_NAME and not name.startswith(f"{STACK_DIR}/"):
                link_file(bundle.path / name, directory / name)
        packed = _pack(directory, manifest, _sampler(table, rows), n_jobs)
        manifest, ledger = _recorded(manifest, bundle.ledger, packed)
        return finish_bundle(directory, manifest, ledger)


@dataclass
class _Packed:
    """What became of the children: the stacks as the manifest has them, who is in them, and why others are not."""

    described: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


def _pack(
    directory: Path,
    manifest: Manifest,
    rows_of: Callable[[str], AnyArray | None],
    n_jobs: int,
    end: float = math.inf,
    carried: CarriedStacks = NO_STACKS,
) -> _Packed:
    refused = dict(carried.reasons)
    if manifest.features.layout != "array":
        return _Packed(refused=refused)
    parts = parts_of(directory, manifest, end)
    builder = StackBuilder(manifest.features, manifest.target.classes, refused)
    with on_one_thread(), tempfile.TemporaryDirectory(prefix=".stacking-", dir=directory.parent) as scratch:
        built = _stacks(proven_children(parts, rows_of, refused, n_jobs, Path(scratch)), builder)
        return _written(directory, itertools.chain(carried.stacks, built), refused)


def _written(directory: Path, stacks: Iterable[BuiltStack], refused: dict[str, str]) -> _Packed:
    """Write stacks as they come, those that mean the same as one."""
    packed = _Packed(refused=refused)
    for stack in put_together(stacks):
        packed.described.append(write_stack(directory, len(packed.described), stack))
        packed.keys.update(stack.keys)
    return packed


def _stacks(proving: Iterator[list[Proven]], builder: StackBuilder) -> Iterator[BuiltStack]:
    """Gather the children that passed; a stack is handed out when it is large enough, so that memory is bounded."""
    for proven in proving:
        for one in proven:
            builder.take([one])
            yield from builder.full()
    yield from builder.finish()


def _recorded(
    manifest: Manifest, ledger: pd.DataFrame, packed: _Packed, otherwise: str = "not read"
) -> tuple[Manifest, pd.DataFrame]:
    otherwise = "the children take frames" if manifest.features.layout != "array" else otherwise
    with_child = ledger["status"].isin(TRAINED).tolist()
    reasons = [
        "" if key in packed.keys else packed.refused.get(key, otherwise) if trained else "no child"
        for key, trained in zip(encoded_keys_of(ledger, manifest.keys), with_child, strict=True)
    ]
    return replace(manifest, stacks=tuple(packed.described)), ledger.assign(stack=reasons)


def _sampler(table: FeatureTable, rows: Mapping[str, IntArray]) -> Callable[[str], AnyArray | None]:
    return lambda key: _sample(table, rows[key]) if key in rows else None


def _sample(table: FeatureTable, rows: IntArray) -> AnyArray:
    chosen = rows[_compared(len(rows))]
    if table.problems:
        chosen = chosen[[row not in table.problems for row in chosen.tolist()]]
    return np.asarray(table.values)[chosen]


@cache
def _compared(n_rows: int) -> IntArray:
    return spread(n_rows, _COMPARED_ROWS)


def _rows_by_key(
    grouping: Grouping, levels: Sequence[int], wanted: Callable[[GroupKey], bool] = lambda _: True
) -> dict[str, IntArray]:
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
    return {encode_key(key): positions for key, positions in found.items() if wanted(key)}
