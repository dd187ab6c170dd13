"""Give one group its child of an earlier version again: a new bundle, and nothing of any other group changes.

The group's child is the same bytes as in the earlier version, and so are its numbers in the stacks, its interval, its
held-out rows and its row of the ledger. All others are carried over from the present version as an update carries them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.carry.carried_shards import carry_shards, link_file
from metamodel.bundle.carry.carried_stacks import carried_stacks, put_together
from metamodel.bundle.carry.contests import CONTESTS_NAME, read_contests, write_contests
from metamodel.bundle.carry.seen import SEEN_NAME, read_seen, write_seen
from metamodel.bundle.diagnostics import HOLDOUT_NAME, IMPORTANCE_NAME, write_evidence
from metamodel.bundle.group_values import GROUP_VALUES_DIR, write_group_values
from metamodel.bundle.ledger_queries import encoded_keys_of, keys_of
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.model import MetaModel
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME, read_drift, write_drift
from metamodel.bundle.reader import KEYS_NAME, LEDGER_NAME, SHARD_DIR, Bundle
from metamodel.bundle.stored_stacks import STACK_DIR, write_stack
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.common.group_status import OUTCOMES, TRAINED
from metamodel.common.messages import listing
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.exceptions import InputError
from metamodel.prediction.blending import weight_columns
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.carrying.tables import (
    carried_holdout,
    carried_importance,
    carried_ledger,
    group_values_of,
    join_evidence,
    join_ledgers,
    replaced_values,
)

__all__ = ["check_group", "write_with_group_of"]

_VERSION_CHARACTERS = 12

_WRITTEN_ANEW = (LEDGER_NAME, KEYS_NAME, HOLDOUT_NAME, IMPORTANCE_NAME, CONTESTS_NAME, DRIFT_NAME, SEEN_NAME)

_FOLDERS_ANEW = (f"{SHARD_DIR}/", f"{STACK_DIR}/", f"{GROUP_VALUES_DIR}/")

_REMEDY = "Roll the whole model back, or train the group again."


def check_group(present: MetaModel, earlier: MetaModel, key: GroupKey, version: str) -> None:
    """Insist on an earlier version whose child can answer in the present one as it did there.

    Parameters
    ----------
    present, earlier
        The version that the other groups stay as in, and the one that the group's child is taken from.
    key
        The group's key.
    version
        What the earlier version is called.

    Raises
    ------
    InputError
        It has no child of the group, one that answers only together with what is otherwise there, or the very child
        that the group has.
    """
    name = list(key)
    if differing := list(_differing(present.manifest, earlier.manifest)):
        raise InputError(f"Version {version} has another {listing(differing)} than the present one. {_REMEDY}")
    if present.bundle.references is not None or earlier.bundle.references is not None:
        raise InputError(f"The model refers to children elsewhere, which {name} may be one of. {_REMEDY}")
    status = _statuses(earlier.bundle).get(key)
    if status not in TRAINED:
        there = "does not know it" if status is None else f"says that it was {status}"
        raise InputError(f"Version {version} has no child of group {name}: it {there}. {_REMEDY}")
    if key not in _statuses(present.bundle):
        raise InputError(f"The present version does not know group {name}, so nothing of it can be rolled back.")
    if earlier.bundle.weights is not None or present.bundle.weights is not None:
        _check_parents(present.bundle, earlier.bundle, key, version)
    if _same_child(present.bundle, earlier.bundle, key):
        raise InputError(
            f"Group {name} has that child already: the present one and that of version {version} are the same bytes. "
            "Name an earlier version; metamodel versions --diff shows between which two it was replaced."
        )


def _same_child(present: Bundle, earlier: Bundle, key: GroupKey) -> bool:
    """Whether a group answers in both by the same child and the same numbers."""
    rows, encoded = [bundle.find(key) for bundle in (present, earlier)], [encode_key(key)]
    if len({row.sha256 if row is not None else "" for row in rows}) > 1:
        return False
    now, before = (group_values_of(bundle, encoded) for bundle in (present, earlier))
    return now.equals(before)


def _differing(now: Manifest, before: Manifest) -> Iterator[str]:
    """Name what both versions have to have in common."""
    options = ("shrinkage", "interval")
    pairs: dict[str, tuple[Any, Any]] = {
        "kind of group columns": (now.keys, before.keys),
        "list of features": (now.features, before.features),
        "target": (now.target, before.target),
        "codec": (now.codec, before.codec),
        "setting of libraries": (now.library_settings, before.library_settings),
        **{name: (now.options.get(name), before.options.get(name)) for name in options},
    }
    yield from (name for name, (one, other) in pairs.items() if one != other)


def _statuses(bundle: Bundle) -> dict[GroupKey, str]:
    ledger = bundle.read_ledger([*bundle.manifest.keys.names, "level", "status"])
    return dict(zip(keys_of(ledger, bundle.manifest.keys), ledger["status"].tolist(), strict=True))


def _check_parents(present: Bundle, earlier: Bundle, key: GroupKey, version: str) -> None:
    """Insist on the same parents, whose predictions are blended with the group's."""
    weights = earlier.weights
    levels = range(len(key))
    if weights is not None:
        numbers = weights.of([key], weight_columns(len(key)))[0]
        levels = [level for level in levels if numbers[level] > 0]  # type: ignore[assignment]
    for level in levels:
        rows = [bundle.find(key[:level]) for bundle in (present, earlier)]
        digests = {row.sha256 if row is not None else "" for row in rows}
        if len(digests) > 1:
            raise InputError(
                f"The answers of group {list(key)} are blended with those of its parent {list(key[:level])}, which is "
                f"another model in version {version}. {_REMEDY}"
            )


def write_with_group_of(present: MetaModel, earlier: MetaModel, key: GroupKey, version: str, path: Path) -> Path:
    """Write a bundle: the present one, with one group's child of an earlier one.

    Parameters
    ----------
    present, earlier, key, version
        As for `check_group`.
    path
        Directory to write.

    Returns
    -------
    Path
        The bundle.
    """
    base, source, encoded = present.bundle, earlier.bundle, encode_key(key)
    ledger = _ledger(base, source, encoded, version)
    others = {*encoded_keys_of(ledger, base.manifest.keys)} - {encoded}
    with new_bundle(path) as (directory, _):
        for name in base.manifest.files:
            if name not in _WRITTEN_ANEW and not name.startswith(_FOLDERS_ANEW):
                link_file(base.path / name, directory / name)
        shards = carry_shards(base, others, directory) | carry_shards(source, {encoded}, directory)
        files = [shards.get(other, "") for other in encoded_keys_of(ledger, base.manifest.keys)]
        stacks = itertools.chain(carried_stacks(base, others), carried_stacks(source, {encoded}))
        described = tuple(write_stack(directory, number, stack) for number, stack in enumerate(put_together(stacks)))
        _write_evidence(base, source, encoded, others, directory)
        manifest = replace(
            base.manifest,
            files={},
            stacks=described,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            counts=_counts(base, source, key, ledger),
            options=_options(base.manifest, source.manifest),
        )
        finish_bundle(directory, _with_values(directory, manifest, base, source, encoded), ledger.assign(shard=files))
    return path


def _ledger(base: Bundle, source: Bundle, encoded: str, version: str) -> pd.DataFrame:
    schema, columns = base.manifest.keys, list(base.ledger.columns)
    keys, source_keys = (encoded_keys_of(one.ledger, schema) for one in (base, source))
    kept = carried_ledger(base.ledger, keys, {*keys} - {encoded}, columns, base.digest[:_VERSION_CHARACTERS])
    row = carried_ledger(source.ledger, source_keys, {encoded}, columns, source.digest[:_VERSION_CHARACTERS])
    row = row.assign(retrain_reason=f"rollback: version {version}")
    return join_ledgers([kept, row], schema, base.manifest.target.task)


def _write_evidence(base: Bundle, source: Bundle, encoded: str, others: set[str], directory: Path) -> None:
    nothing = pd.DataFrame()
    parts = [
        (of_bundle(base, others), of_bundle(source, {encoded})) for of_bundle in (carried_holdout, carried_importance)
    ]
    holdout, importance = (join_evidence(nothing if kept is None else kept, one) for kept, one in parts)
    write_evidence(directory, holdout, importance)
    contests = {key: contest for key, contest in read_contests(base).items() if key != encoded}
    contests |= {key: contest for key, contest in read_contests(source).items() if key == encoded}
    write_contests(directory, contests)
    seen = {key: hashes for key, hashes in read_seen(base).items() if key != encoded}
    write_seen(directory, seen | {key: hashes for key, hashes in read_seen(source).items() if key == encoded})
    _write_reference(base, source, encoded, directory)


def _write_reference(base: Bundle, source: Bundle, encoded: str, directory: Path) -> None:
    """Write what later rows are compared with: the one group's is what its child was fitted on."""
    present, earlier = read_drift(base), read_drift(source)
    if present is None:
        return
    kept = [i for i, key in enumerate(present[0]) if key != encoded]
    keys, parts = [present[0][i] for i in kept], [present[1].take(np.array(kept, dtype=np.int64))]
    if earlier is not None and encoded in earlier[0] and earlier[1].columns == present[1].columns:
        keys.append(encoded)
        parts.append(earlier[1].take(np.array([earlier[0].index(encoded)])))
    write_drift(directory, keys, DriftReference.concat(parts))


def _with_values(directory: Path, manifest: Manifest, base: Bundle, source: Bundle, encoded: str) -> Manifest:
    """Write the numbers that groups answer with: the one group's are the earlier version's."""
    if base.group_values is None:
        return manifest
    every = encoded_keys_of(base.ledger, base.manifest.keys)
    values = replaced_values(group_values_of(base, every), group_values_of(source, [encoded]))
    return replace(manifest, group_values=write_group_values(directory, values[list(base.group_values.columns)]))


def _counts(base: Bundle, source: Bundle, key: GroupKey, ledger: pd.DataFrame) -> dict[str, int]:
    statuses = ledger["status"].value_counts()
    resident = [row.resident if (row := bundle.find(key)) is not None else 0 for bundle in (base, source)]
    counted = {name: int(statuses.get(name, 0)) for name in OUTCOMES}
    before = base.manifest.counts
    return {**before, **counted, "resident_bytes": before["resident_bytes"] - resident[0] + resident[1]}


def _options(base: Manifest, source: Manifest) -> dict[str, Any]:
    """Let the manifest know every candidate that may have made a child: what it needs is required."""
    return {**base.options, "candidates": {**source.options["candidates"], **base.options["candidates"]}}
