"""Set new children beside those that groups have, for many groups at once: as `fitting.challenge` does for one.

The fits inside the fresh rows are the array program's, the children that groups have are asked one by one. A group in
which anything is odd (a warning, an error, a number that is not finite) is left to `fit_group`, which says so.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray, is_among
from metamodel.common.autologging import autologging_off
from metamodel.evaluation.predictions import Predictions
from metamodel.fitting.array_fits.fit_many import ManyFigures, ManyFits, answers_of_stacks, fit_stacks
from metamodel.fitting.array_fits.program import ArrayProgram
from metamodel.fitting.array_fits.row_stacks import GroupSpans
from metamodel.fitting.array_fits.usable_rows import ManyGroups
from metamodel.fitting.challenge import compared, unseen_folds
from metamodel.fitting.group import Terminated
from metamodel.fitting.spec import FitSpec
from metamodel.fitting.warm_start import EarlierChild
from metamodel.prediction.child import predictions

__all__ = ["with_contests"]


def with_contests(
    fits: ManyFits, many: ManyGroups, starts: Sequence[EarlierChild | None], spec: FitSpec, program: ArrayProgram
) -> ManyFits:
    """Add what came of the contests to the outcomes; groups that have to be looked at alone are left out.

    Parameters
    ----------
    fits
        From `fit_many_groups`.
    many
        The rows of all groups.
    starts
        Of each of these groups the child that it has, if it is in a contest; none of them a warm start.
    spec, program
        What to fit, and its array program.
    """
    if many.contents is None or not len(fits.groups) or not any(starts):
        return fits
    started = time.perf_counter()
    contests = _Contests(fits, many, many.contents, [starts[i] for i in fits.groups.tolist()])
    with np.errstate(all="ignore"):  # what is not finite in the end is not taken
        contests.challenge(program)
        facts = contests.facts(spec)
    kept = np.flatnonzero(contests.good)
    seconds = (time.perf_counter() - started) / max(1, len(kept))
    outcomes = [
        replace(fits.outcomes[i], facts=fits.outcomes[i].facts | facts[i], seconds=fits.outcomes[i].seconds + seconds)
        for i in kept.tolist()
    ]
    return ManyFits(
        fits.groups[kept],
        outcomes,
        {name: values[kept] for name, values in fits.numbers.items()},
        # Each number of folds is proven by groups of its own.
        np.column_stack([fits.kinds, contests.folds])[kept],
        [fits.importances[i] for i in kept.tolist()],
        fits.rows.of(kept),
        fits.hashes,
    )


class _Contests:
    """Contests of groups that were fitted as arrays.

    Attributes
    ----------
    good
        Shape (n_groups,): False for those to be looked at alone.
    folds
        Shape (n_groups,): how often the new child is fitted inside the fresh rows; 0 for groups in no contest.
    """

    def __init__(
        self, fits: ManyFits, many: ManyGroups, contents: HashArray, starts: Sequence[EarlierChild | None]
    ) -> None:
        self._rows, self._many, self._starts = fits.rows, many, starts
        bounds = np.append(fits.rows.starts, len(fits.rows.positions)).tolist()
        contents, hashes = contents[fits.rows.positions], fits.hashes[fits.rows.positions]
        self._tests = [
            _tests(contents[bounds[i] : bounds[i + 1]], hashes[bounds[i] : bounds[i + 1]], start)
            for i, start in enumerate(starts)
        ]
        self.folds = np.array([len(tests) for tests in self._tests], dtype=np.int64)
        self.good = np.ones(len(starts), dtype=bool)
        self._fresh: list[list[IntArray]] = [[] for _ in starts]
        self._said: list[list[AnyArray]] = [[] for _ in starts]

    def challenge(self, program: ArrayProgram) -> None:
        """Let new children that have not seen it answer each part of the fresh rows."""
        for number in range(self.folds.max(initial=0)):
            groups = np.flatnonzero(self.folds > number)
            rows = self._rows.of(groups)
            held = np.concatenate([self._tests[i][number] for i in groups.tolist()])
            self._answer(groups, rows.where(~held), rows.where(held), program)

    def _answer(self, groups: IntArray, train: GroupSpans, test: GroupSpans, program: ArrayProgram) -> None:
        figures = ManyFigures(len(groups))
        numbers, _ = fit_stacks(self._many, train, program, figures, "")
        predicted = np.empty(len(test.positions))
        for stack, answers in answers_of_stacks(self._many, test, program, numbers):
            predicted[stack.places] = answers
        self.good[groups] &= figures.good
        parts = (np.split(values, test.starts[1:]) for values in (test.positions, predicted))
        for i, positions, said in zip(groups.tolist(), *parts, strict=True):
            self._fresh[i].append(positions)
            self._said[i].append(said)

    def facts(self, spec: FitSpec) -> list[dict[str, float]]:
        """Compare both children of every group in a contest; empty for the others."""
        facts: list[dict[str, float]] = [{} for _ in self._starts]
        for i in np.flatnonzero((self.folds > 0) & self.good).tolist():
            start = self._starts[i]
            assert start is not None
            old = _said_by_incumbent(start, self._many.x[np.concatenate(self._fresh[i])])
            if old is not None:
                facts[i] = compared(self._answers(i, old), self._answers(i, np.concatenate(self._said[i])), spec)
            self.good[i] = bool(facts[i]) and bool(np.isfinite(list(facts[i].values())).all())
        return facts

    def _answers(self, i: int, said: AnyArray) -> Predictions:
        return Predictions(self._many.y[np.concatenate(self._fresh[i])], said, None, np.empty(0))


def _tests(contents: HashArray, draws: HashArray, start: EarlierChild | None) -> list[BoolArray]:
    """Say which rows of a group test the new child, part by part."""
    if start is None or start.refusal or not isinstance(start.seen, np.ndarray):
        return []
    unseen = ~is_among(contents, start.seen)
    return [test for _, test in unseen_folds(unseen, draws)] if unseen.any() else []


def _said_by_incumbent(start: EarlierChild, x: AnyArray) -> AnyArray | None:
    """Ask the child that a group has; None where anything is to be said of it."""
    try:
        with warnings.catch_warnings(record=True) as caught, autologging_off():
            warnings.simplefilter("always")
            said: AnyArray = predictions(start.load(), x).reshape(-1)
    except Terminated:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - it is asked again by itself, where errors have their place
        return None
    return None if caught else said
