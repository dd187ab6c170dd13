"""The groups of a task that are fitted as arrays, and the proof that scikit-learn fits them to the same bits.

Some groups of every task are fitted both ways, and all that is kept of them is compared: the child's bytes, its row of
the ledger, held-out predictions, importances. One difference, and the whole task is fitted by scikit-learn.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from metamodel.bundle.pickle_template import PickleTemplate
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.collecting import seldom_collecting
from metamodel.common.messages import error_text, short
from metamodel.fitting.array_fits import ArrayProgram, ManyFits, ManyGroups, fit_many_groups, program_of, with_contests
from metamodel.fitting.spec import FitSpec
from metamodel.tables.grouping import spread
from metamodel.tables.keys import GroupKey
from metamodel.training.earlier_children import PackedStart
from metamodel.training.engines.group_fitter import GroupFitter, GroupRecord
from metamodel.training.plan import GroupRows, TablePlan, TrainingTable

__all__ = ["NOT_AS_ARRAYS", "ArrayGroups", "fit_as_arrays", "fits_at_once", "is_for_arrays"]

# Begins what the ledger says of groups whose task had a difference.
NOT_AS_ARRAYS = "not_as_arrays"

# Fewer groups of one kind are fitted one by one.
_FEWEST = 16

# Groups of each kind that are fitted both ways; of many, one in `_EVERY`.
_PROVEN, _EVERY = 2, 1000

# About what a group and a row take as arrays; and what worker processes take to start and to import all they need.
_GROUP_SECONDS, _ROW_SECONDS, _START_SECONDS = 1e-4, 1e-6, 3.0

# What a contest takes beside.
_CONTEST_SECONDS = 5e-4

# What rows may have; anything else (times, weights, ...) has to be None.
_UNDERSTOOD = {"features", "y", "hashes", "children", "contents", "digests"}

# Position of a group in its task → what remains of it.
_Records = dict[int, GroupRecord]


class ArrayGroups:
    """What became of a task's groups as arrays.

    Attributes
    ----------
    records
        Position of a group in the task → what remains of it; the others are to be fitted one by one.
    note
        What the ledger shall say of those; empty where nothing differed.
    """

    def __init__(self, records: _Records, note: str = "") -> None:
        self.records = records
        self.note = note


def fit_as_arrays(
    groups: Sequence[GroupRows],
    table: TrainingTable,
    spec: FitSpec,
    fitter: GroupFitter,
    kept_share: float,
    starts: Mapping[GroupKey, PackedStart],
) -> ArrayGroups:
    """Fit those groups of a task that an array program takes.

    Parameters
    ----------
    groups
        The groups, in the order in which `table` holds their rows.
    table
        The task's rows and no others.
    spec
        What to fit.
    fitter
        Fits single groups, and serializes all.
    kept_share
        Share of the held-out rows to hand back.
    starts
        Children against which new ones have to win; none of them a warm start.
    """
    program, numbers = program_of(spec), np.array([len(group.rows) for group in groups])
    taken = np.array([i for i, group in enumerate(groups) if numbers[i] and group.key not in spec.overrides], dtype=int)
    # Of other codecs it is not known that equal children are equal bytes.
    if program is None or fitter.codec.name != "cloudpickle" or len(taken) < _FEWEST or not _is_plain(table):
        return ArrayGroups({})
    first = np.cumsum(numbers) - numbers
    many = _rows_of(table, first[taken], numbers[taken])
    with seldom_collecting():
        keys = [groups[i].key for i in taken.tolist()]
        fits = fit_many_groups(many, keys, spec, program, kept_share)
        earlier = [starts[key].open() if key in starts else None for key in keys]
        fits = with_contests(fits, many, earlier, spec, program)
    positions = taken[fits.groups]

    def one_by_one(i: int) -> GroupRecord:
        data = table.group(groups[i].key, first[i], first[i] + numbers[i])
        return fitter.fit(data, groups[i].fingerprint, start=starts.get(groups[i].key))

    proof = _Proof(fits, positions, numbers, program, fitter, one_by_one)
    with seldom_collecting():
        return proof.records([group.fingerprint for group in groups])


def is_for_arrays(plan: TablePlan) -> bool:
    """Whether most groups of a plan may be fitted as arrays."""
    spec, sizes = plan.spec, plan.sizes
    return (
        program_of(spec) is not None
        and plan.options.codec == "cloudpickle"
        and _is_plain(plan.table)
        and 10 * len(spec.overrides) <= len(sizes)
    )


def fits_at_once(plan: TablePlan, keys: Collection[GroupKey], contests: int = 0) -> bool:
    """Whether groups can be fitted as arrays in less time than other processes take to start.

    Parameters
    ----------
    plan
        One that `is_for_arrays`.
    keys
        Of the groups that are to be fitted.
    contests
        How many of them have a child that the new one has to win against.
    """
    table = plan.table
    if len(keys) * _GROUP_SECONDS + contests * _CONTEST_SECONDS > _START_SECONDS:
        return False
    with_nulls = np.unique(plan.grouping.codes[~np.isfinite(np.asarray(table.features.values)).all(axis=1)])
    return 10 * len(with_nulls) < len(plan.sizes) and table.y.size * _ROW_SECONDS < _START_SECONDS


def _is_plain(table: TrainingTable) -> bool:
    x = table.features.values
    return (
        isinstance(x, np.ndarray)
        and x.dtype == np.float64
        and x.shape[1] > 0
        and x.flags.c_contiguous
        and table.y.dtype == np.float64
        and all(getattr(table, one.name) is None for one in fields(table) if one.name not in _UNDERSTOOD)
        and not table.features.problems
    )


def _rows_of(table: TrainingTable, starts: IntArray, sizes: IntArray) -> ManyGroups:
    if sizes.sum() < len(table.y):
        table = table.take(np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes))
    x = np.ascontiguousarray(table.features.values)
    return ManyGroups(x, table.y, table.hashes, table.children, np.cumsum(sizes) - sizes, table.contents)


class _Proof:
    """Compares groups that were fitted both ways, and makes the records of all others."""

    def __init__(
        self,
        fits: ManyFits,
        positions: IntArray,
        sizes: IntArray,
        program: ArrayProgram,
        fitter: GroupFitter,
        one_by_one: Callable[[int], GroupRecord],
    ) -> None:
        self._fits = fits
        self._positions = positions
        self._sizes = sizes
        self._program = program
        self._fitter = fitter
        self._one_by_one = one_by_one

    def records(self, fingerprints: Sequence[str]) -> ArrayGroups:
        """Make what remains of each group, unless one of them differs."""
        records: _Records = {}
        for of_kind in _kinds(self._fits.kinds):
            if len(of_kind) < _FEWEST:
                continue
            proven = self._to_prove(of_kind)
            alone = {i: self._one_by_one(int(self._positions[i])) for i in proven}
            try:
                made = self._of_kind(of_kind, alone[proven[0]], fingerprints)
            except Exception as error:  # noqa: BLE001 - another release of scikit-learn may keep other attributes
                return ArrayGroups({}, f"{NOT_AS_ARRAYS}: {error_text(error)}")
            for i, record in alone.items():
                if what := difference(record, made[int(self._positions[i])]):
                    key = short(record.ledger.key)
                    return ArrayGroups({}, f"{NOT_AS_ARRAYS}: {what} differs from scikit-learn's in {key}")
            records |= made | {int(self._positions[i]): record for i, record in alone.items()}
        return ArrayGroups(records)

    def _to_prove(self, of_kind: IntArray) -> list[int]:
        """Choose groups of all sizes, those that a task fitted one by one would come to first among them."""
        by_size = of_kind[np.argsort(self._sizes[self._positions[of_kind]], kind="stable")]
        chosen = by_size[spread(len(by_size), max(_PROVEN, len(by_size) // _EVERY))]
        return sorted({*of_kind[:2].tolist(), *chosen.tolist()})

    def _of_kind(self, of_kind: IntArray, example: GroupRecord, fingerprints: Sequence[str]) -> _Records:
        children = self._children(of_kind, example)
        records = {}
        for i, blob in zip(of_kind.tolist(), children, strict=True):
            position = int(self._positions[i])
            outcome, importance = self._fits.outcomes[i], self._fits.importances[i]
            records[position] = self._fitter.record(outcome, fingerprints[position], importance, blob)
        return records

    def _children(self, of_kind: IntArray, example: GroupRecord) -> Sequence[bytes]:
        """Serialize children after the example of one that scikit-learn fitted."""
        if example.row.child is None:
            raise ValueError(f"scikit-learn's child is {example.ledger.status}")
        child = self._fitter.codec.loads(example.row.child)
        holders = {name: self._program.holder(child, name) for name in self._fits.numbers}
        numbers = {
            name: values[of_kind].reshape(len(of_kind), -1)[:, : np.size(getattr(*holders[name]))]
            for name, values in self._fits.numbers.items()
        }
        return PickleTemplate(child, holders).fill(numbers)


def _kinds(kinds: AnyArray) -> list[IntArray]:
    """Group numbers with equal marks."""
    if not len(kinds):
        return []
    if not kinds.shape[1]:
        return [np.arange(len(kinds))]
    _, codes = np.unique(kinds, axis=0, return_inverse=True)
    return [np.flatnonzero(codes.reshape(-1) == code) for code in range(int(codes.max()) + 1)]


def difference(one: GroupRecord, other: GroupRecord) -> str:
    """Name the first thing in which two records of a group differ, bit by bit; empty where there is none.

    How long it took is none, nor how much memory a child is thought to take: both are measured.
    """
    if one.row.child != other.row.child:
        return "the child"
    ours, theirs = one.ledger.to_dict(), other.ledger.to_dict()
    for name in ours:
        if name not in ("seconds", "resident") and json.dumps(ours[name]) != json.dumps(theirs[name]):
            return name
    for part in ("holdout", "importance"):
        if _bits(getattr(one, part)) != _bits(getattr(other, part)):
            return part
    return ""


def _bits(part: Any) -> Any:
    if part is None:
        return None
    return [(name, None if value is None else (value.dtype.str, value.tobytes())) for name, value in vars(part).items()]
