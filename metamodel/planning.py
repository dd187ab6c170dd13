"""From the caller's table to a plan: every check that can be made before the first fit is made here.

A table plan holds the whole table once, as arrays in the form that children take, and for each level of the fallback
chain which rows belong to which group. A plan for another engine decides by a *profile*: a few rows that stand for a
table which is not in this process. Nothing here knows processes or files.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel import estimators
from metamodel.comparison import COMPARED
from metamodel.evaluation import METRICS
from metamodel.exceptions import InputError, InvalidKey
from metamodel.features import FeatureSchema, FeatureTable
from metamodel.fitting import GroupData, metric_names
from metamodel.frames import AnyArray, Grouping, IntArray, check_columns, group_rows
from metamodel.groups import GROUP_FACTS
from metamodel.keys import GroupKey, KeySchema
from metamodel.overrides import Override, place
from metamodel.spec import Candidate, FitSpec, TrainingOptions, TuningSpec, spec_digest
from metamodel.splitting import HashArray, row_hashes, time_order
from metamodel.tuning import TUNING_COLUMNS, require_optuna, spaces_of
from metamodel.weights import check_takes_weights, row_weights
from metamodel.wording import count, listing, short

__all__ = [
    "LEDGER_COLUMNS",
    "Decisions",
    "GroupRows",
    "Plan",
    "TablePlan",
    "TargetInfo",
    "TrainingTable",
    "check_table",
    "decide",
    "feature_names",
    "fingerprint",
    "hashed_columns",
    "levels_of",
    "make_plan",
    "parents_of",
    "task_of_candidates",
]

# Columns of the ledger behind the group columns; the metrics stand between `params` and `fingerprint`.
_BEFORE_METRICS = ("level", "status", "reason", "error", "rows", "seconds", "estimator", "params")
_BEHIND_METRICS = (*GROUP_FACTS, "fingerprint", "shard", "bytes", "sha256", "warnings", "stack", *COMPARED)
LEDGER_COLUMNS = (*_BEFORE_METRICS, *_BEHIND_METRICS)


@dataclass(frozen=True)
class TargetInfo:
    """The target column, brought to the form that estimators take."""

    values: AnyArray
    dtype: str
    label_kind: str | None
    classes: tuple[Any, ...]

    def convert(self, values: pd.Series) -> AnyArray:
        """Bring other values of the same column to the same form."""
        return _labels(values) if self.values.dtype == object else _numeric_target(values)


@dataclass(frozen=True)
class TrainingTable:
    """Rows as children take them: features, target, and what the holdout needs; all of one length."""

    features: FeatureTable
    y: AnyArray
    hashes: HashArray
    times: AnyArray | None
    weights: AnyArray | None = None

    def take(self, rows: IntArray) -> "TrainingTable":
        """Gather rows."""
        times = None if self.times is None else self.times[rows]
        weights = None if self.weights is None else self.weights[rows]
        return TrainingTable(self.features.take(rows), self.y[rows], self.hashes[rows], times, weights)

    def fingerprint(self, rows: IntArray | slice) -> str:
        """Digest of the content of some rows, in their order."""
        return fingerprint(self.hashes[rows], None if self.weights is None else self.weights[rows])

    def group(self, key: GroupKey, start: int, stop: int) -> GroupData:
        """Rows `start` to `stop` as one group's data, without a copy."""
        times = None if self.times is None else self.times[start:stop]
        weights = None if self.weights is None else self.weights[start:stop]
        features, y, hashes = self.features.slice(start, stop), self.y[start:stop], self.hashes[start:stop]
        return GroupData(key, features, y, hashes, times, weights)


@dataclass(frozen=True)
class GroupRows:
    """One group to fit: its key, the positions of its rows in the table, and the fingerprint of their content."""

    key: GroupKey
    rows: IntArray
    fingerprint: str


@dataclass(frozen=True)
class Plan:
    """All that training needs to know besides the rows; `sizes` says how many rows each group has."""

    options: TrainingOptions
    keys: KeySchema
    features: FeatureSchema
    target: TargetInfo
    spec: FitSpec
    sizes: dict[GroupKey, int]
    levels: tuple[int, ...]
    dropped_rows: int
    digest: str

    @property
    def ledger_columns(self) -> list[str]:
        """Every column of the ledger, in order."""
        return [*self.keys.names, *_BEFORE_METRICS, *metric_names(self.spec.task), *_BEHIND_METRICS]

    @property
    def rows(self) -> int:
        """Rows that belong to a group."""
        return sum(self.sizes.values())

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

    def groups(self) -> Iterator[GroupRows]:
        """Every group of every level: the children first, then their parents, then the global model."""
        for level in (len(self.keys.columns), *self.levels):
            grouping = self.grouping.at_level(level)
            for i, key in enumerate(grouping.keys):
                assert isinstance(key, tuple)
                rows = grouping.order[grouping.bounds[i] : grouping.bounds[i + 1]]
                yield GroupRows(key, rows, self.table.fingerprint(rows))


@dataclass(frozen=True)
class Decisions:
    """What follows from a table's columns and values, and not from which row is whose."""

    features: FeatureSchema
    target: TargetInfo
    spec: FitSpec
    overridden: tuple[FitSpec, ...]
    digest: str

    def spec_of_groups(self, overridden: Sequence[GroupKey], parents: Iterable[GroupKey]) -> FitSpec:
        """Complete the spec with what single groups do otherwise.

        Parameters
        ----------
        overridden
            The groups of the overrides, in their order.
        parents
            Groups of lower levels. They keep equal rows: those of different children are observations of their own.
        """
        exceptions = dict.fromkeys(parents, replace(self.spec, drop_duplicates=False))
        exceptions |= dict(zip(overridden, self.overridden, strict=True))
        return replace(self.spec, overrides=exceptions)


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
    decided = decide(frame, options, estimator, estimator_params, features, overrides)
    times = None if options.time_column is None else time_order(frame[options.time_column], options.time_column)
    hashes = row_hashes(frame, hashed_columns(decided.features, options), options.random_state)
    weights = None if options.sample_weight is None else row_weights(frame[options.sample_weight])
    table = TrainingTable(decided.features.table(frame), decided.target.values, hashes, times, weights)
    # `_group` leaves no invalid key.
    sizes: dict[GroupKey, int] = dict(zip(grouping.keys, grouping.counts.tolist(), strict=True))  # type: ignore[arg-type]
    return TablePlan(
        options,
        keys,
        decided.features,
        decided.target,
        decided.spec_of_groups(place(overrides, keys, sizes), parents_of(sizes, keys, options)),
        sizes,
        levels_of(keys, options),
        dropped,
        decided.digest,
        table,
        grouping,
    )


def decide(
    profile: pd.DataFrame,
    options: TrainingOptions,
    estimator: object,
    estimator_params: Mapping[str, Any] | None,
    features: Sequence[str] | None,
    overrides: Sequence[Override] = (),
) -> Decisions:
    """Decide what to fit.

    Parameters
    ----------
    profile
        The table, or a frame that stands for it: the same columns and dtypes, a value in every column that has one, a
        null in every column that has one, and of a target with class labels every label.
    options, estimator, estimator_params, features, overrides
        As for `make_plan`.
    """
    schema = FeatureSchema.infer(profile, feature_names(profile, options, features))
    task, candidates, others = _candidates(estimator, estimator_params, schema, profile, options, overrides)
    arrays = all(estimators.takes_arrays(one.estimator) for part in (candidates, *others) for one in part)
    schema = FeatureSchema(schema.features, "array" if schema.all_numeric and arrays else "frame")
    target = _target(profile[options.target], task)
    _check_metric(options.metric, task)
    spec = FitSpec(
        task,
        candidates,
        float(options.holdout),
        options.min_rows,
        target.dtype,
        split=options.scheme,
        metric=options.metric or "",
        season=options.season,
        drop_duplicates=options.duplicates == "drop",
        group_seconds=options.group_seconds,
        tuning=_tuning(options, candidates),
    )
    overridden = tuple(
        replace(
            spec,
            candidates=own,
            min_rows=one.min_rows or spec.min_rows,
            skip=one.skip,
            # What is said of one group in so many words is not searched for.
            tuning=spec.tuning if one.estimator is None and one.estimator_params is None else None,
        )
        for own, one in zip(others, overrides, strict=True)
    )
    digest = spec_digest(options, spec, schema.to_dict())
    for one, own in zip(overrides, overridden, strict=True):
        digest = spec_digest(
            options, own, {"before": digest, "of": repr(one.key), "min_rows": own.min_rows, "skip": own.skip}
        )
    return Decisions(schema, target, spec, overridden, digest)


def hashed_columns(schema: FeatureSchema, options: TrainingOptions) -> list[str]:
    """Columns whose content makes two rows the same row."""
    times = [options.time_column] if options.time_column else []
    return list(dict.fromkeys([*schema.names, options.target, *times]))


def levels_of(keys: KeySchema, options: TrainingOptions) -> tuple[int, ...]:
    """Levels of the fallback chain, from the longest prefix to 0 (global)."""
    return tuple(range(len(keys.columns) - 1, -1, -1)) if options.unknown == "fallback" else ()


def parents_of(sizes: Iterable[GroupKey], keys: KeySchema, options: TrainingOptions) -> set[GroupKey]:
    """List the groups of lower levels that are trained too."""
    return {key[:level] for level in levels_of(keys, options) for key in sizes}


def check_table(frame: pd.DataFrame, rows: int, options: TrainingOptions, features: Sequence[str] | None) -> None:
    """Insist on the columns that are needed; only the names of the frame's columns count."""
    check_columns(frame, options.group_by, "group column")
    check_columns(frame, [options.target], "target column")
    for role, name in (("time column", options.time_column), ("weight column", options.sample_weight)):
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
    reserved = {*LEDGER_COLUMNS, *metric_names("regression"), *metric_names("classification")}
    if options.tune is not None:
        reserved |= set(TUNING_COLUMNS)
    if clash := [name for name in options.group_by if name in reserved]:
        raise InputError(f"Group column {listing(map(repr, clash))} has the name of a ledger column. Rename it.")
    for role, name in (("target", options.target), ("weight", options.sample_weight)):
        if features is not None and name in ([features] if isinstance(features, str) else features):
            raise InputError(f"{name!r} is the {role} and a feature. Leave it out of features.")


def feature_names(frame: pd.DataFrame, options: TrainingOptions, features: Sequence[str] | None) -> list[str]:
    """Names of the feature columns: the caller's, or every column without another role."""
    if isinstance(features, str):
        return [features]
    if features is not None:
        return list(dict.fromkeys(features))
    taken = {*options.group_by, options.target, options.time_column, options.sample_weight}
    return [name for name in frame.columns if name not in taken]


def _group(frame: pd.DataFrame, keys: KeySchema) -> tuple[pd.DataFrame, Grouping, int]:
    grouping = group_rows(frame, keys)
    invalid = [i for i, key in enumerate(grouping.keys) if isinstance(key, InvalidKey)]
    if not invalid:
        return frame, grouping, 0
    nulls = frame[keys.names].isna().any(axis=1).to_numpy()
    bad = np.isin(grouping.codes, invalid)
    if keys.null_keys != "drop" or (bad & ~nulls).any():
        worst = int(np.flatnonzero(bad & ~nulls if (bad & ~nulls).any() else bad)[0])
        raise InvalidKey(
            f"{count(int(bad.sum()), 'row')} of {len(frame):,} belong to no group (first: row {worst}). "
            f"{grouping.keys[grouping.codes[worst]]}"
            + (' Or drop such rows with null_keys="drop".' if nulls[worst] else "")
        )
    if bad.all():
        raise InputError("Every row has a null in its group columns, so no row is left. Fill the group columns.")
    frame = frame.loc[~bad]
    return frame, group_rows(frame, keys), int(bad.sum())


def task_of_candidates(estimator: object, params: Mapping[str, Any] | None, numeric: bool) -> estimators.Task:
    """Tell the one task of an estimator, or of all candidates; `numeric` says whether the target is a number."""
    tasks = {name: estimators.task_of(one, numeric, params) for name, one in _named(estimator).items()}
    if len(set(tasks.values())) > 1:
        raise InputError(f"The candidates do different tasks ({tasks}). Give regressors or classifiers, not both.")
    return next(iter(tasks.values()))


def _candidates(
    estimator: object,
    params: Mapping[str, Any] | None,
    schema: FeatureSchema,
    frame: pd.DataFrame,
    options: TrainingOptions,
    overrides: Sequence[Override],
) -> tuple[estimators.Task, tuple[Candidate, ...], list[tuple[Candidate, ...]]]:
    """Build the candidates of all groups, and those of each override."""
    named = _named(estimator)
    dtype = frame[options.target].dtype
    task = task_of_candidates(estimator, params, types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype))
    _check_comparable(named, options)
    missing = {name for name in schema.names if frame[name].isna().any()}

    def build(named: Mapping[str, object], params: Mapping[str, Any] | None) -> Iterator[Candidate]:
        for name, one in named.items():
            built = estimators.resolve(one, params, task, options.random_state)
            if isinstance(one, str) and one in estimators.NAMED:
                built = estimators.prepare(built, schema, missing)
            if options.sample_weight is not None:
                check_takes_weights(built)
            yield Candidate(name, built, *estimators.describe(built))

    others = []
    for override in overrides:
        own = named if override.estimator is None else _named(override.estimator)
        _check_comparable(own, options, f"Override of group {override.key}: ")
        if any(
            estimators.task_of(one, task == "regression", override.estimator_params) != task for one in own.values()
        ):
            raise InputError(
                f"The override of group {override.key} does another task than {task}. Correct its estimator."
            )
        base = dict(params or {}) if override.estimator is None else {}
        others.append(tuple(build(own, base | dict(override.estimator_params or {}))))
    return task, tuple(build(named, params)), others


def _check_comparable(named: Mapping[str, object], options: TrainingOptions, where: str = "") -> None:
    if len(named) > 1 and options.holdout == 0 and options.scheme.kind == "holdout":
        raise InputError(
            f"{where}{len(named)} candidates cannot be compared with holdout=0. Set a holdout, or give one estimator."
        )


def _tuning(options: TrainingOptions, candidates: tuple[Candidate, ...]) -> TuningSpec | None:
    if options.tune is None:
        return None
    if options.scheme.kind == "kfold":
        raise InputError(
            f"split={options.split!r} tests every row, so that none is left to search parameters on. "
            'Tune with split="holdout", or with a time column and split="rolling:...".'
        )
    require_optuna()
    spaces = spaces_of(options.tune, candidates)
    limits = options.trials, options.patience, options.tune_seconds, options.budget_seconds
    return TuningSpec(spaces, *limits, options.random_state)


def _named(estimator: object) -> Mapping[str, object]:
    if isinstance(estimator, Mapping):
        named: Mapping[str, object] = estimator
    else:
        listed = estimator.split(",") if isinstance(estimator, str) else estimator
        several = [one.strip() if isinstance(one, str) else one for one in listed] if _is_list(listed) else [estimator]
        named = {one if isinstance(one, str) else type(one).__name__: one for one in several}
        if len(named) < len(several):
            raise InputError("Two candidates have one name. Give a dict of names of your own and estimators.")
    if not named:
        raise InputError("estimator names no candidate. Give at least one.")
    return named


def _is_list(estimator: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(estimator, list | tuple)


def _check_metric(metric: str | None, task: str) -> None:
    if metric is not None and metric not in METRICS[task]:
        raise InputError(f"metric={short(metric)} is unknown for {task}. Use one of: {', '.join(METRICS[task])}.")


def _target(values: pd.Series, task: estimators.Task) -> TargetInfo:
    if values.isna().all():
        raise InputError(f"The target {values.name!r} is null in every row. Name a column with values to learn from.")
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if task == "regression":
        return TargetInfo(_numeric_target(values), "float64", None, ())
    inferred = types.infer_dtype(values, skipna=True)
    kinds = {"string": ("string", "object"), "boolean": ("boolean", "bool"), "integer": ("integer", "int64")}
    if inferred in ("floating", "mixed-integer-float", "decimal"):
        numbers = _numeric_target(values)
        whole = bool(np.all(np.isnan(numbers) | (numbers == np.round(numbers))))
        kind, dtype = ("integer", "int64") if whole else ("number", "float64")
        return TargetInfo(numbers, dtype, kind, tuple(np.unique(numbers[~np.isnan(numbers)].astype(dtype)).tolist()))
    if inferred not in kinds:
        raise InputError(
            f"The target {values.name!r} holds {inferred} values, which are no class labels. "
            "Convert it to strings, integers or booleans of one kind."
        )
    kind, dtype = kinds[inferred]
    return TargetInfo(_labels(values), dtype, kind, tuple(sorted(values.dropna().unique().tolist())))


def _labels(values: pd.Series) -> AnyArray:
    labels: AnyArray = values.astype(object).where(values.notna(), None).to_numpy()
    return labels


def _numeric_target(values: pd.Series) -> AnyArray:
    if types.is_datetime64_any_dtype(values.dtype):
        raise InputError(
            f"The target {values.name!r} holds timestamps, but a regressor predicts numbers. Name a numeric column."
        )
    try:
        return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        text = [value for value in values if isinstance(value, str)]
        raise InputError(
            f"The target {values.name!r} is not numeric (first text: {short(text[0] if text else values.iloc[0])}), "
            "but the estimator is a regressor. Name a numeric target, or use a classifier."
        ) from error


def fingerprint(hashes: HashArray, weights: AnyArray | None = None) -> str:
    """Digest of a group's rows."""
    digest = hashlib.blake2b(np.ascontiguousarray(hashes).tobytes(), digest_size=16)
    if weights is not None:
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()
