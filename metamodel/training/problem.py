"""What a table's columns and values decide: the task, the candidates, the target's form, and the spec of every group.

Which row belongs to whom plays no part, so that a profile (a few rows that stand for a table which is not in this
process) decides the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import pandas as pd

from metamodel.common.library_settings import LibrarySettings
from metamodel.common.messages import did_you_mean, short
from metamodel.evaluation.metrics import METRICS
from metamodel.exceptions import InputError
from metamodel.fitting import estimator_info, estimators
from metamodel.fitting.fit_groups import check_needs_no_groups
from metamodel.fitting.preprocessing import with_preprocessing
from metamodel.fitting.sample_weight import check_takes_weights
from metamodel.fitting.spec import Candidate, FitSpec, TaskName, TuningSpec
from metamodel.fitting.tuning import require_optuna, spaces_of
from metamodel.fitting.watched_fit import check_stops_by_itself
from metamodel.tables.equal_rows import EqualRows
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import GroupKey
from metamodel.tables.text_checks import OddFields, is_index
from metamodel.training.digest import spec_digest
from metamodel.training.options import TrainingOptions
from metamodel.training.overrides import Override
from metamodel.training.targets import TargetInfo, is_quantity, read_target

__all__ = ["Decisions", "TableCounts", "decide", "feature_names", "task_of_candidates"]


@dataclass(frozen=True)
class TableCounts:
    """What has to be counted in the whole table before it is decided what to fit.

    Attributes
    ----------
    equal_rows
        What its equal rows are.
    levels
        How many values each of its text features has.
    odd_fields
        What was taken for null in features that are numbers but for it.
    """

    equal_rows: EqualRows
    levels: Mapping[str, int]
    odd_fields: Sequence[OddFields] = ()


_NO_COUNTS = TableCounts(EqualRows(0), {})


@dataclass(frozen=True)
class Decisions:
    """What follows from a table's columns and values, and not from which row is whose."""

    features: FeatureSchema
    target: TargetInfo
    spec: FitSpec
    overridden: tuple[FitSpec, ...]
    digest: str

    def spec_of_groups(self, overridden: Sequence[GroupKey | None]) -> FitSpec:
        """Complete the spec with what single groups do otherwise: those of the overrides, in their order."""
        specs = zip(overridden, self.overridden, strict=True)
        return replace(self.spec, overrides={key: spec for key, spec in specs if key is not None})


def decide(
    profile: pd.DataFrame,
    options: TrainingOptions,
    estimator: object,
    estimator_params: Mapping[str, Any] | None,
    features: Sequence[str] | None,
    overrides: Sequence[Override] = (),
    counts: TableCounts = _NO_COUNTS,
) -> Decisions:
    """Decide what to fit.

    Parameters
    ----------
    profile
        The table, or a frame that stands for it: the same columns and dtypes, a value in every column that has one, a
        null in every column that has one, and of a target with class labels every label.
    options, estimator, estimator_params, features, overrides
        As for `make_plan`.
    counts
        Of the whole table.
    """
    schema = FeatureSchema.infer(profile, feature_names(profile, options, features))
    schema = schema.with_null_texts({column.name: column.texts for column in counts.odd_fields})
    task, candidates, of_overrides = _candidates(
        estimator, estimator_params, schema, profile, options, overrides, counts.levels
    )
    schema = _in_form(schema, [candidates, *of_overrides])
    target = read_target(profile[options.target], task)
    _check_metric(options.metric, task)
    _check_shrinkage(options, task)
    _check_interval(options.interval, task)
    spec = _spec(options, task, candidates, target, counts)
    overridden = tuple(
        replace(
            spec,
            candidates=own_candidates,
            min_rows=override.min_rows or spec.min_rows,
            skip=override.skip,
            # What is said of a group in so many words is not searched for.
            tuning=spec.tuning if override.estimator is None and override.estimator_params is None else None,
        )
        for own_candidates, override in zip(of_overrides, overrides, strict=True)
    )
    return Decisions(schema, target, spec, overridden, _digest(options, schema, spec, overrides, overridden))


def _in_form(schema: FeatureSchema, candidates: Sequence[Sequence[Candidate]]) -> FeatureSchema:
    """Choose the form in which all candidates take the features."""
    arrays = schema.all_numeric and all(
        estimator_info.takes_arrays(candidate.estimator, schema.names)
        for several in candidates
        for candidate in several
    )
    return FeatureSchema(schema.features, "array" if arrays else "frame")


def _spec(
    options: TrainingOptions, task: TaskName, candidates: tuple[Candidate, ...], target: TargetInfo, counts: TableCounts
) -> FitSpec:
    return FitSpec(
        task,
        candidates,
        float(options.holdout),
        options.min_rows,
        target.dtype,
        split=options.scheme,
        metric=options.metric or "",
        season=options.season,
        drop_duplicates=_drops(options.duplicates, counts.equal_rows),
        spread_copies=counts.equal_rows.are_observations,
        group_seconds=options.group_seconds,
        tuning=_tuning(options, candidates),
        settings=LibrarySettings.current(),
    )


def _digest(
    options: TrainingOptions,
    schema: FeatureSchema,
    spec: FitSpec,
    overrides: Sequence[Override],
    overridden: Sequence[FitSpec],
) -> str:
    """Digest all that decides what is fitted; each exception goes into the digest of what came before it."""
    digest = spec_digest(options, spec, schema.decisive())
    for override, own in zip(overrides, overridden, strict=True):
        exception = {"before": digest, "of": repr(override.key), "min_rows": own.min_rows, "skip": own.skip}
        digest = spec_digest(options, own, exception)
    return digest


def feature_names(frame: pd.DataFrame, options: TrainingOptions, features: Sequence[str] | None) -> list[str]:
    """Names of the feature columns: the caller's, or every column without another role but an index."""
    if isinstance(features, str):
        return [features]
    if features is not None:
        return list(dict.fromkeys(features))
    others = options.time_column, options.sample_weight, options.split_groups
    entity = (name.partition(":")[0] for name in options.explore_entity or ())
    taken = {*options.group_by, options.target, *others, *entity}
    return [name for name in frame.columns if name not in taken and not (isinstance(name, str) and is_index(name))]


def task_of_candidates(estimator: object, params: Mapping[str, Any] | None, numeric: bool) -> TaskName:
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
    levels: Mapping[str, int],
) -> tuple[TaskName, tuple[Candidate, ...], list[tuple[Candidate, ...]]]:
    """Build the candidates of all groups, and those of each override."""
    named = _named(estimator)
    task = task_of_candidates(estimator, params, is_quantity(frame[options.target]))
    _check_comparable(named, options)
    missing = {name for name in schema.names if frame[name].isna().any()}

    def build(named: Mapping[str, object], params: Mapping[str, Any] | None) -> Iterator[Candidate]:
        for name, estimator_given in named.items():
            built = estimators.resolve(estimator_given, params, task, options.random_state)
            if isinstance(estimator_given, str) and estimator_given in estimators.NAMED:
                built = with_preprocessing(estimator_given, built, schema, missing, levels, task)
            if options.sample_weight is not None:
                check_takes_weights(built)
            check_stops_by_itself(built)
            if options.split_groups is None:
                check_needs_no_groups(built)
            yield Candidate(name, built, *estimator_info.label_and_params(built))

    others = []
    for override in overrides:
        own_estimators = named if override.estimator is None else _named(override.estimator)
        _check_comparable(own_estimators, options, f"Override of group {override.key}: ")
        if any(
            estimators.task_of(estimator_given, task == "regression", override.estimator_params) != task
            for estimator_given in own_estimators.values()
        ):
            raise InputError(
                f"The override of group {override.key} does another task than {task}. Correct its estimator."
            )
        base = dict(params or {}) if override.estimator is None else {}
        others.append(tuple(build(own_estimators, base | dict(override.estimator_params or {}))))
    return task, tuple(build(named, params)), others


def _check_comparable(named: Mapping[str, object], options: TrainingOptions, where: str = "") -> None:
    if len(named) > 1 and options.holdout == 0 and options.scheme.draws:
        raise InputError(
            f"{where}{len(named)} candidates cannot be compared with holdout=0. Set a holdout, or give one estimator."
        )


def _tuning(options: TrainingOptions, candidates: tuple[Candidate, ...]) -> TuningSpec | None:
    if options.tune is None:
        return None
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
        raise InputError(
            f"metric={short(metric)} is unknown for {task}. Use one of: {', '.join(METRICS[task])}."
            f"{did_you_mean(metric, METRICS[task])}"
        )


def _drops(duplicates: str, equal: EqualRows) -> bool:
    return duplicates == "drop" or (duplicates == "auto" and not equal.are_observations)


def _check_shrinkage(options: TrainingOptions, task: str) -> None:
    if options.shrinkage is not None and task != "regression":
        raise InputError(
            f"shrinkage={options.shrinkage.name!r} blends numbers, but the target {options.target!r} makes this a "
            "classification. Leave shrinkage out, or train a regressor."
        )


def _check_interval(level: float | None, task: str) -> None:
    if level is not None and task != "regression":
        raise InputError(f"interval={level} is for regression, but the estimator is a classifier. Leave interval out.")
