"""From the caller's table to a plan: every check that can be made before the first fit is made here.

A table plan holds the whole table once, as arrays in the form that children take, and for each level of the fallback
chain which rows belong to which group. Nothing here knows processes or files.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.ledger import Stage, column_names
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, listing
from metamodel.evaluation.drift.time_functions import functions_of_time
from metamodel.evaluation.holdout import child_ids_of_encoded
from metamodel.evaluation.splits import time_order
from metamodel.exceptions import InputError, InvalidKey
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.tuning import TUNING_COLUMNS
from metamodel.tables.equal_rows import EqualRows, equal_rows
from metamodel.tables.feature_columns import text_levels
from metamodel.tables.features import FeatureSchema
from metamodel.tables.grouping import Grouping, check_columns, group_rows
from metamodel.tables.keys import GroupKey, KeySchema, encode_keys
from metamodel.tables.split_groups import SplitGroups
from metamodel.tables.text_checks import OddFields, is_index, without_odd_fields
from metamodel.tables.weights import row_weights
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override, place
from metamodel.training.problem import Decisions, TableCounts, decide, feature_names
from metamodel.training.targets import TargetInfo
from metamodel.training.training_table import GroupRows, TrainingTable, seen_hashes

__all__ = [
    "GroupRows",
    "Plan",
    "TablePlan",
    "TrainingTable",
    "check_table",
    "levels_of",
    "make_plan",
    "row_columns",
    "seen_hashes",
]


@dataclass(frozen=True)
class Plan:
    """All that training needs to know besides the rows.

    `sizes` says how many rows each group has; `odd_fields` what was taken for null in features that are numbers but for
    it, and `odd_rows` in how many rows of which groups, where that is counted; `newest` where in time the last row of
    each group is (`evaluation.splits.time_order`), where there is a time column; `only` which groups of all levels are
    fitted, None for every one.
    """

    options: TrainingOptions
    keys: KeySchema
    features: FeatureSchema
    target: TargetInfo
    spec: FitSpec
    sizes: dict[GroupKey, int]
    levels: tuple[int, ...]
    dropped_rows: int
    digest: str
    equal_rows: EqualRows
    odd_fields: tuple[OddFields, ...]
    odd_rows: Mapping[GroupKey, int]
    newest: Mapping[GroupKey, float | int] = field(default_factory=dict, kw_only=True)
    only: frozenset[GroupKey] | None = field(default=None, kw_only=True)

    @property
    def ledger_columns(self) -> list[str]:
        """Every column of the ledger, in order."""
        return [*self.keys.names, *column_names(self.spec.task, *_optional_stages(self.options))]

    @property
    def rows(self) -> int:
        """Rows that belong to a group."""
        return sum(self.sizes.values())

    @property
    def answering_levels(self) -> tuple[int, ...]:
        """Levels of the parents that answer for a group without a child; with shrinkage alone there may be others."""
        return self.levels if self.options.unknown == "fallback" else ()

    def indexes_among(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Name the columns that are no features because a file brought them along as its index."""
        options = self.options
        others = options.target, options.time_column, options.sample_weight, options.split_groups
        roles = {*self.keys.names, *self.features.names, *others}
        return tuple(name for name in columns if is_index(name) and name not in roles)

    @property
    def is_dated(self) -> bool:
        """Whether the rows have times that are points of the calendar, and not numbers."""
        return any(not isinstance(point, float) for point in self.newest.values())

    @cached_property
    def encoded(self) -> dict[GroupKey, str]:
        """Encoded key of every group, parents aside."""
        return dict(zip(self.sizes, encode_keys(self.sizes), strict=True))

    def fits(self, key: GroupKey) -> bool:
        """Whether a group is fitted in this training."""
        return self.only is None or key in self.only

    def functions_of_time(self) -> frozenset[str] | None:
        """Find the columns, the target among them, that say nothing but when a row is; None where rows do not tell."""
        raise NotImplementedError

    def newest_of_all_levels(self) -> dict[GroupKey, float | int]:
        """Say where in time the last row of every group of every level is; empty without a time column."""
        newest = dict(self.newest)
        for level in self.levels:
            for key, point in self.newest.items():
                newest[key[:level]] = max(point, newest.get(key[:level], point))
        return newest

    def sizes_of_all_levels(self) -> dict[GroupKey, int]:
        """Rows of every group of every level: the children first, then their parents, then the global model."""
        sizes: Counter[GroupKey] = Counter(self.sizes)
        for level in self.levels:
            for key, rows in self.sizes.items():
                sizes[key[:level]] += rows
        return dict(sizes)


@dataclass(frozen=True)
class TablePlan(Plan):
    """A plan that holds the table."""

    table: TrainingTable
    grouping: Grouping

    @cached_property
    def encoded(self) -> dict[GroupKey, str]:
        """Encoded key of every group, parents aside."""
        return dict(zip(self.sizes, self.grouping.texts.tolist(), strict=True))

    def groups(self) -> Iterator[GroupRows]:
        """Every group of every level: the children first, then their parents, then the global model."""
        for level in (len(self.keys.columns), *self.levels):
            grouping = self.grouping.at_level(level)
            for i, key in enumerate(grouping.keys):
                assert isinstance(key, tuple)
                if self.fits(key):
                    rows = grouping.order[grouping.bounds[i] : grouping.bounds[i + 1]]
                    yield GroupRows(key, rows, self.table.fingerprint(rows))

    def functions_of_time(self) -> frozenset[str] | None:
        """Find the columns that are functions of time alone, among the rows with a target."""
        if self.table.times is None:
            return None
        known = ~pd.isna(self.table.y)
        columns = self.table.compared_columns(self.features, self.spec.task)
        return functions_of_time(columns.take(known), self.table.times[known])

    def fresh_rows(self, through: Mapping[GroupKey, float | int]) -> dict[GroupKey, int]:
        """Count the rows of some groups, of any level, that are newer than a point of time of each."""
        assert self.table.times is not None
        counted: dict[GroupKey, int] = {}
        for level in (len(self.keys.columns), *self.levels):
            grouping = self.grouping.at_level(level)
            limits = [through.get(key) if isinstance(key, tuple) else None for key in grouping.keys]
            known_limits = np.array([limit is not None for limit in limits])
            points = np.array([0 if limit is None else limit for limit in limits])
            fresh = (self.table.times > points[grouping.codes]) & known_limits[grouping.codes]
            numbers = np.bincount(grouping.codes[fresh], minlength=len(limits)).tolist()
            counted |= {key: n for key, n in zip(grouping.keys, numbers, strict=True) if key in through}  # type: ignore[misc]
        return counted


def make_plan(
    frame: pd.DataFrame,
    options: TrainingOptions,
    estimator: object,
    estimator_params: Mapping[str, Any] | None,
    features: Sequence[str] | None,
    overrides: Sequence[Override] = (),
) -> TablePlan:
    """Check a training table and everything asked of it.

    Parameters
    ----------
    frame
        The table, any index.
    options
        Checked options.
    estimator, estimator_params
        As in `metamodel.train`.
    features
        Feature columns; None for every column that has no other role.
    overrides
        Exceptions for single groups.

    Raises
    ------
    InputError
        With fact, evidence and remedy, before anything was fitted or written.
    """
    check_table(frame, len(frame), options, features)
    keys = KeySchema.infer(frame, options.group_by, options.null_keys)
    frame, grouping, dropped = _group(frame, keys)
    chosen = feature_names(frame, options, features)
    check_columns(frame, chosen, "feature column")
    frame, odd_fields, odd_rows = without_odd_fields(frame, chosen)
    equal = equal_rows(frame, row_columns(chosen, options), options.target, grouping.codes)
    counts = TableCounts(equal, text_levels(frame, chosen), odd_fields)
    decided = decide(frame, options, estimator, estimator_params, features, overrides, counts)
    # `_group` leaves no invalid key.
    sizes: dict[GroupKey, int] = dict(zip(grouping.keys, grouping.counts.tolist(), strict=True))  # type: ignore[arg-type]
    table = _training_table(frame, decided, options, child_ids_of_encoded(grouping.texts)[grouping.codes])
    return TablePlan(
        options,
        keys,
        decided.features,
        decided.target,
        decided.spec_of_groups(place(overrides, keys, sizes)),
        sizes,
        levels_of(keys, options),
        dropped,
        decided.digest,
        equal,
        tuple(odd_fields),
        {key: int(rows) for key, rows in zip(sizes, np.bincount(grouping.codes, odd_rows), strict=True) if rows},
        table,
        grouping,
        newest={} if table.times is None else dict(zip(sizes, _newest(table.times, grouping), strict=True)),
    )


def _training_table(
    frame: pd.DataFrame, decided: Decisions, options: TrainingOptions, children: AnyArray
) -> TrainingTable:
    """Bring the rows to the form in which groups are fitted; `children` says of each whose it is."""
    time, weight, split = options.time_column, options.sample_weight, options.split_groups
    return TrainingTable.of(
        decided.features.training_table(frame),
        decided.target.values,
        None if time is None else time_order(frame[time], time),
        None if weight is None else row_weights(frame[weight]),
        children,
        None if split is None else SplitGroups.of(frame, split, options.random_state),
        random_state=options.random_state,
        hashes_seen=options.hashes_seen,
    )


def _newest(times: AnyArray, grouping: Grouping) -> list[float | int]:
    """Find each group's last point of time."""
    last: list[float | int] = np.maximum.reduceat(times[grouping.order], grouping.bounds[:-1]).tolist()
    return last


def row_columns(features: Sequence[str], options: TrainingOptions) -> list[str]:
    """Columns in which two rows have to agree to be copies of each other."""
    others = [options.target, options.time_column, options.sample_weight, options.split_groups]
    return list(dict.fromkeys([*features, *(name for name in others if name)]))


def levels_of(keys: KeySchema, options: TrainingOptions) -> tuple[int, ...]:
    """Levels of the parents that are trained, from the longest prefix to 0 (global)."""
    return tuple(range(len(keys.columns) - 1, -1, -1)) if options.with_parents else ()


def check_table(frame: pd.DataFrame, rows: int, options: TrainingOptions, features: Sequence[str] | None) -> None:
    """Insist on the columns that are needed; only the names of the frame's columns count."""
    check_columns(frame, options.group_by, "group column")
    check_columns(frame, [options.target], "target column")
    others = {
        "time column": options.time_column,
        "weight column": options.sample_weight,
        "split_groups column": options.split_groups,
    }
    for role, name in others.items():
        if name is not None:
            check_columns(frame, [name], role)
    if not rows:
        raise InputError("The table has no rows. Give a table with at least one group.")
    if twice := frame.columns[frame.columns.duplicated()].tolist():
        raise InputError(
            f"The table has more than one column named {listing(map(repr, twice))}. Keep one, rename the others."
        )
    if odd := [name for name in frame.columns if not isinstance(name, str)]:
        raise InputError(f"Column names must be text; {listing(map(repr, odd))} is none. Rename such columns.")
    if clash := [name for name in options.group_by if name in _reserved(options)]:
        raise InputError(f"Group column {listing(map(repr, clash))} has the name of a ledger column. Rename it.")
    for role, name in (("target", options.target), ("weight", options.sample_weight)):
        if features is not None and name in ([features] if isinstance(features, str) else features):
            raise InputError(f"{name!r} is the {role} and a feature. Leave it out of features.")


def _reserved(options: TrainingOptions) -> set[str]:
    """Names of the columns of the tables that stand beside the group columns."""
    tuned = TUNING_COLUMNS if options.tune is not None else ()
    stages = _optional_stages(options)
    return {*column_names("regression", *stages), *column_names("classification"), *tuned}


def _optional_stages(options: TrainingOptions) -> list[Stage]:
    """Name the stages that write to the ledger because they were asked for."""
    asked: dict[Stage, bool] = {"shrinkage": options.shrinkage is not None, "interval": options.interval is not None}
    return [stage for stage, wanted in asked.items() if wanted]


def _group(frame: pd.DataFrame, keys: KeySchema) -> tuple[pd.DataFrame, Grouping, int]:
    grouping = group_rows(frame, keys)
    invalid = [i for i, key in enumerate(grouping.keys) if isinstance(key, InvalidKey)]
    if not invalid:
        return frame, grouping, 0
    nulls = frame[keys.names].isna().any(axis=1).to_numpy()
    bad = np.isin(grouping.codes, invalid)
    if keys.null_keys != "drop" or (bad & ~nulls).any():
        worst = int(np.flatnonzero(bad & ~nulls if (bad & ~nulls).any() else bad)[0])
        verb = "belongs" if bad.sum() == 1 else "belong"
        raise InvalidKey(
            f"{count(int(bad.sum()), 'row')} of {len(frame):,} {verb} to no group (first: row {worst}). "
            f"{grouping.keys[grouping.codes[worst]]}"
            + (' Or drop such rows with null_keys="drop".' if nulls[worst] else "")
        )
    if bad.all():
        raise InputError("Every row has a null in its group columns, so no row is left. Fill the group columns.")
    frame = frame.loc[~bad]
    return frame, group_rows(frame, keys), int(bad.sum())
