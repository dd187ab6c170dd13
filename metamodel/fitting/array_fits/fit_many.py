"""Fit and judge many groups at once: what `fit.fit_group` does for one, with arrays over all of them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray, as_matrix
from metamodel.common.messages import count
from metamodel.evaluation.holdout import HeldOut
from metamodel.evaluation.importance import Importance
from metamodel.evaluation.many_groups import many_regression_metrics
from metamodel.evaluation.metrics import PRIMARY, rounding_error, skill
from metamodel.fitting.array_fits.importances import many_importances
from metamodel.fitting.array_fits.program import ArrayProgram
from metamodel.fitting.array_fits.row_stacks import GroupSpans, RowStack, row_stacks
from metamodel.fitting.array_fits.usable_rows import ManyGroups, UsableRows, usable_rows
from metamodel.fitting.group import GroupOutcome
from metamodel.fitting.spec import FitSpec
from metamodel.tables.keys import GroupKey

__all__ = ["ManyFigures", "ManyFits", "ManyGroups", "answers_of_stacks", "fit_many_groups", "fit_stacks"]

_TASK = "regression"


@dataclass(frozen=True)
class ManyFits:
    """What became of the groups that were fitted as arrays; all of them are "fitted".

    Attributes
    ----------
    groups
        Their numbers among all groups, in order, shape (n_fitted,).
    outcomes
        One a group, without the child.
    numbers
        Attribute of the children → its value for each group, shape (n_fitted, ...).
    kinds
        Shape (n_fitted, n_marks): children with equal marks differ in `numbers` alone.
    importances
        One a group.
    rows, hashes
        The rows that each was fitted on, and one hash by which rows are drawn for each of the table's rows.
    """

    groups: IntArray
    outcomes: Sequence[GroupOutcome]
    numbers: dict[str, AnyArray]
    kinds: AnyArray
    importances: Sequence[Importance]
    rows: GroupSpans
    hashes: HashArray


def fit_many_groups(
    many: ManyGroups, keys: Sequence[GroupKey], spec: FitSpec, program: ArrayProgram, kept_share: float
) -> ManyFits:
    """Fit the groups that an array program takes; of the others nothing is said.

    Parameters
    ----------
    many, keys
        The rows of all groups, and the groups' keys.
    spec, program
        What to fit, and its array program.
    kept_share
        Share of the held-out rows to hand back, from `holdout.kept_share`.
    """
    started = time.perf_counter()
    with np.errstate(all="ignore"):  # what is not finite in the end is not taken
        usable = usable_rows(many, spec)
        if not len(usable.groups):
            return ManyFits(usable.groups, (), {}, np.zeros((0, 0), dtype=np.int64), (), usable.rows, usable.hashes)
        figures = ManyFigures(len(usable.groups))
        held = None
        if usable.held is not None:
            held = _judge(many, usable, usable.held, program, figures)
        numbers, kinds = fit_stacks(many, usable.rows, program, figures, "" if usable.held is not None else "train")
        shares, coefficients = many_importances(many.x, usable.every, program, numbers)
    good = figures.good & np.isfinite(shares).all(axis=1)
    for values in numbers.values():
        good &= np.isfinite(as_matrix(values)).all(axis=1)
    kept = np.flatnonzero(good)
    holdouts: list[HeldOut | None] = [None] * len(good) if held is None else _split(held, kept_share)
    seconds = (time.perf_counter() - started) / max(1, len(kept))
    outcomes = _outcomes(many, keys, spec, usable, figures, kept, holdouts, seconds)
    return ManyFits(
        usable.groups[kept],
        outcomes,
        {name: values[kept] for name, values in numbers.items()},
        kinds[kept],
        [Importance(shares[i], coefficients[i]) for i in kept.tolist()],
        usable.rows.of(kept),
        usable.hashes,
    )


class ManyFigures:
    """Metrics of each group, and whether all went well with it."""

    def __init__(self, groups: int) -> None:
        self.good = np.ones(groups, dtype=bool)
        self.metrics: dict[str, AnyArray] = {}

    def add(self, part: str, groups: IntArray, y: AnyArray, predicted: AnyArray) -> None:
        """Measure some groups' predictions, shape (n_groups, n_rows)."""
        for name, values in many_regression_metrics(y, predicted).items():
            column = self.metrics.setdefault(f"{part}_{name}", np.full(len(self.good), np.nan))
            column[groups] = values
            if name != "r2":  # which is missing where the target does not vary
                self.good[groups] &= np.isfinite(values)
        self.good[groups] &= np.isfinite(predicted).all(axis=1)


def fit_stacks(
    many: ManyGroups, rows: GroupSpans, program: ArrayProgram, figures: ManyFigures, part: str
) -> tuple[dict[str, AnyArray], AnyArray]:
    """Fit rows of all groups; with `part` the fits are also measured on these rows."""
    numbers: dict[str, AnyArray] = {}
    kinds = np.zeros((len(rows.starts), 0), dtype=np.int64)
    for stack in row_stacks(rows, many.x.shape[1]):
        x, y = many.x[stack.positions], many.y[stack.positions]
        fitted = program.fit(np.ascontiguousarray(x.transpose(0, 2, 1)), y)
        for name, values in fitted.numbers.items():
            column = numbers.setdefault(name, np.zeros((len(rows.starts), *values.shape[1:])))
            column[stack.groups] = values
        if fitted.kinds.shape[1] != kinds.shape[1]:
            kinds = np.zeros((len(rows.starts), fitted.kinds.shape[1]), dtype=np.int64)
        kinds[stack.groups] = fitted.kinds if fitted.kinds.shape[1] else 0
        figures.good[stack.groups] &= fitted.done
        if part:
            figures.add(part, stack.groups, y, program.predict(fitted.numbers, x))
    return numbers, kinds


def answers_of_stacks(
    many: ManyGroups, rows: GroupSpans, program: ArrayProgram, numbers: dict[str, AnyArray]
) -> Iterator[tuple[RowStack, AnyArray]]:
    """Predict rows of all groups by what was fitted for each; a stack of groups at a time."""
    for stack in row_stacks(rows, many.x.shape[1]):
        of_stack = {name: values[stack.groups] for name, values in numbers.items()}
        yield stack, program.predict(of_stack, many.x[stack.positions])


def _judge(
    many: ManyGroups, usable: UsableRows, held: BoolArray, program: ArrayProgram, figures: ManyFigures
) -> tuple[HeldOut, IntArray]:
    """Fit the training rows, predict the others, and set the mean beside it; returns all held-out rows."""
    train, test = usable.rows.where(~held), usable.rows.where(held)
    numbers, _ = fit_stacks(many, train, program, figures, "train")
    means = np.bincount(train.codes, many.y[train.positions]) / train.sizes
    predicted = np.empty(len(test.positions))
    for stack, answers in answers_of_stacks(many, test, program, numbers):
        y = many.y[stack.positions]
        predicted[stack.places] = answers
        figures.add("holdout", stack.groups, y, answers)
        figures.add("baseline", stack.groups, y, np.repeat(means[stack.groups][:, None], y.shape[1], axis=1))
    children = None if many.children is None else many.children[test.positions]
    rows = usable.hashes[test.positions]
    return HeldOut(rows, many.y[test.positions], predicted, None, None, children), test.codes


def _split(held: tuple[HeldOut, IntArray], kept_share: float) -> list[HeldOut | None]:
    """Cut the held-out rows of all groups into those of each, after what is not to be kept is left out."""
    rows, codes = held
    sampled = rows.sample(kept_share)
    bounds = np.searchsorted(codes[rows.drawn(kept_share)], np.arange(codes[-1] + 2)).tolist()
    hashes, actual, predicted, children = sampled.rows, sampled.actual, sampled.predicted, sampled.children
    return [
        HeldOut(
            hashes[start:stop],
            actual[start:stop],
            predicted[start:stop],
            children=None if children is None else children[start:stop],
        )
        for start, stop in pairwise(bounds)
    ]


def _outcomes(
    many: ManyGroups,
    keys: Sequence[GroupKey],
    spec: FitSpec,
    usable: UsableRows,
    figures: ManyFigures,
    kept: IntArray,
    holdouts: Sequence[HeldOut | None],
    seconds: float,
) -> list[GroupOutcome]:
    """Say of each group what `fit_group` says of it."""
    candidate = spec.candidates[0]
    y, starts, sizes = many.y[usable.rows.positions], usable.rows.starts, usable.rows.sizes
    lowest, highest = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    largest = np.maximum(np.abs(lowest), np.abs(highest)).tolist()
    constant = ((lowest == highest) & (sizes > 1)).tolist()
    names = list(figures.metrics)
    rows_of_metrics = np.column_stack([figures.metrics[name] for name in names]).tolist()
    lost, duplicates, numbers = usable.lost.tolist(), usable.duplicates.tolist(), sizes.tolist()
    plain = {"imbalance": float("nan"), "candidate": candidate.name, "own_best": candidate.name, "started_from": ""}
    outcomes = []
    for i, group in zip(kept.tolist(), usable.groups[kept].tolist(), strict=True):
        metrics = dict(zip(names, rows_of_metrics[i], strict=True))
        facts = {"duplicates": duplicates[i], **plain}
        if usable.held is not None:
            facts |= {"folds": 1, "baseline": "mean", "skill": _skill(spec, metrics, largest[i])}
        notes = [f"target_missing: {count(lost[i], 'row')} left out"] if lost[i] else []
        notes += ["constant_target"] if constant[i] else []
        outcomes.append(
            GroupOutcome(
                keys[group],
                "fitted",
                numbers[i],
                "; ".join(notes),
                seconds=seconds,
                estimator=candidate.label,
                params=candidate.params,
                metrics=metrics,
                facts=facts,
                holdout=holdouts[i],
            )
        )
    return outcomes


def _skill(spec: FitSpec, metrics: dict[str, Any], largest: float) -> float:
    metric = spec.metric or PRIMARY[_TASK]
    if np.isnan(metrics[f"holdout_{metric}"]):
        metric = PRIMARY[_TASK]
    rounding = rounding_error(metric, np.array([largest]))
    return skill(metric, metrics[f"holdout_{metric}"], metrics[f"baseline_{metric}"], rounding)
