"""One window against a reference: the groups that changed, the columns in which they did, and their parents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.common.messages import short
from metamodel.evaluation.drift.calibration import empirical_factors, variance_factors
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION
from metamodel.evaluation.drift.exact_tails import at_least_beta_binomial
from metamodel.evaluation.drift.judge_cells import JudgedCells, judge_cells, judge_parents
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.multiple_testing import named_cells, simes
from metamodel.evaluation.drift.pooled_cells import CellSums
from metamodel.evaluation.drift.window_counts import INTERVALS, OUTSIDE, WindowCounts
from metamodel.exceptions import InputError

__all__ = ["MOST_WINDOWS", "PERFORMANCE", "JudgedLevel", "JudgedWindow", "MonitorRules", "judge_window"]

# Columns that say how good predictions are; all others say what the rows are like.
PERFORMANCE: Final = (ERROR, ABSOLUTE_ERROR)

_UPWARD: Final = (ABSOLUTE_ERROR,)

# So many earlier windows are added where a group has few rows.
MOST_WINDOWS: Final = 12


@dataclass(frozen=True)
class MonitorRules:
    """When something counts as changed.

    Parameters
    ----------
    fdr
        Expected share of false ones among the groups that alarm.
    min_effect
        Distance below which a change is of no account: Wasserstein's in standard deviations, of categories the total
        variation.
    min_rows
        Cells with fewer rows are not tested.
    """

    fdr: float = 0.05
    min_effect: float = 0.1
    min_rows: int = 20

    @classmethod
    def checked(cls, fdr: float, min_effect: float, min_rows: int) -> "MonitorRules":
        """Insist on values that mean something.

        Raises
        ------
        InputError
            One does not.
        """
        if not 0 < fdr < 1:
            raise InputError(f"fdr={short(fdr)} is no rate. Give a share between 0 and 1, such as 0.05.")
        if not min_effect >= 0:
            raise InputError(f"min_effect={short(min_effect)} is no effect. Give 0 or more, such as 0.1.")
        if not min_rows >= 1:
            raise InputError(f"min_rows={short(min_rows)} is no number of rows. Give 1 or more, such as 20.")
        return cls(fdr, min_effect, min_rows)


@dataclass(frozen=True)
class JudgedLevel:
    """The parents of one level.

    Attributes
    ----------
    keys
        Encoded keys.
    parent_of
        Number of each group's parent, shape (n_groups,).
    cells
        Of all rows.
    named
        Shape (n, n_columns): columns that changed in the parent, without what its groups say themselves.
    """

    keys: list[str]
    parent_of: IntArray
    cells: JudgedCells
    named: BoolArray


@dataclass(frozen=True)
class JudgedWindow:
    """All groups of a reference in one window.

    Attributes
    ----------
    reference
        What they were compared with.
    counts
        Shape (n_groups, n_columns, 12): of the window, and of those before it where a cell has few rows.
    totals
        Shape (n_groups, 4): of the window alone, see `WindowCounts`.
    cells
        Tests and effects.
    named
        Shape (n_groups, n_columns): the columns in which a group changed.
    p_drift, p_performance
        Shape (n_groups,): of the hypothesis that nothing changed, or that predictions are as good as they were; NaN
        where nothing was tested.
    coverage
        Shape (n_groups,): p-value of intervals that cover as much as they should; NaN without any.
    coverage_alarm
        Where they do not.
    levels
        The parents, the world first.
    left_out
        Columns that are functions of time alone.
    """

    reference: ModelReference
    counts: AnyArray
    totals: IntArray
    cells: JudgedCells
    named: BoolArray
    p_drift: AnyArray
    p_performance: AnyArray
    coverage: AnyArray
    coverage_alarm: BoolArray
    levels: list[JudgedLevel]
    left_out: tuple[str, ...]

    @property
    def performance_columns(self) -> BoolArray:
        """Which columns say how good predictions are, shape (n_columns,)."""
        return _of_performance(self.reference.cells.columns)

    @property
    def drift_alarm(self) -> BoolArray:
        """Groups whose rows changed, shape (n_groups,)."""
        return np.asarray(self.named[:, ~self.performance_columns].any(axis=1))

    @property
    def performance_alarm(self) -> BoolArray:
        """Groups whose predictions became worse, or lean to one side, shape (n_groups,)."""
        return np.asarray(self.named[:, self.performance_columns].any(axis=1) | self.coverage_alarm)


def judge_window(
    reference: ModelReference,
    window: WindowCounts,
    earlier: Sequence[Callable[[], WindowCounts]],
    rules: MonitorRules,
    calibration: tuple[IntArray, float] | None = None,
) -> JudgedWindow:
    """Judge a window.

    Parameters
    ----------
    reference
        What it is compared with.
    window
        Its counts.
    earlier
        The windows before it, the latest first; read as far as they are needed.
    rules
        When something counts as changed.
    calibration
        Of each group the number of residuals that set its interval, shape (n_groups,), and the share of rows that
        intervals are to cover; None without intervals.
    """
    cells = reference.cells
    counts, totals, intervals = _with_earlier(reference, window, earlier, rules.min_rows)
    of_models = [
        name
        for name, kind in zip(cells.columns, cells.kinds, strict=True)
        if name in (PREDICTION, *PERFORMANCE) and kind == "number"
    ]
    factors = np.maximum(variance_factors(cells), empirical_factors(cells, counts, of_models, rules.min_rows))
    parents = [(codes, len(keys)) for keys, codes in reference.parents]
    judged, sums = judge_cells(cells, counts, parents, _UPWARD, rules.min_rows, factors)
    left_out = tuple(name for name in cells.columns if name in cells.of_time | window.of_time)
    of_time = np.array([name in left_out for name in cells.columns], dtype=bool)
    judged.p_value[:, of_time] = np.nan
    coverage, uncovered = _coverage(intervals, calibration, rules.min_rows)
    performance = _of_performance(cells.columns)
    p_errors = np.concatenate([judged.p_value[:, performance], coverage[:, None]], axis=1)
    named, not_covered = _named_in_groups(judged, performance, p_errors, rules)
    rest = _without(reference, counts, named, sums, factors)
    return JudgedWindow(
        reference,
        counts,
        totals,
        judged,
        named,
        simes(judged.p_value[:, ~performance]),
        simes(p_errors),
        coverage,
        not_covered & uncovered,
        _judged_levels(reference, sums, rest, of_time, rules),
        left_out,
    )


def _of_performance(columns: Sequence[str]) -> BoolArray:
    return np.array([name in PERFORMANCE for name in columns], dtype=bool)


def _named_in_groups(
    judged: JudgedCells, performance: BoolArray, p_errors: AnyArray, rules: MonitorRules
) -> tuple[BoolArray, BoolArray]:
    """Name the columns that changed in a group, and the groups whose intervals do not cover, each family by itself."""
    named = np.zeros(judged.p_value.shape, dtype=bool)
    named[:, ~performance] = named_cells(judged.p_value[:, ~performance], rules.fdr)[1]
    of_errors = named_cells(p_errors, rules.fdr)[1]
    named[:, performance] = of_errors[:, :-1]
    return named & judged.matters(rules.min_effect), of_errors[:, -1]


def _judged_levels(
    reference: ModelReference, sums: list[CellSums], rest: list[CellSums], of_time: BoolArray, rules: MonitorRules
) -> list[JudgedLevel]:
    """Judge the parents of each level: by all rows, and by what is left without groups that alarm for themselves."""
    levels = []
    for (keys, parent_of), whole, others in zip(reference.parents, sums, rest, strict=True):
        level, remaining = (judge_parents(reference.cells, cells, _UPWARD, rules.min_rows) for cells in (whole, others))
        for judged in (level, remaining):
            judged.p_value[:, of_time] = np.nan
        named = named_cells(remaining.p_value, rules.fdr)[1] & remaining.matters(rules.min_effect)
        levels.append(JudgedLevel(keys, parent_of, level, named))
    return levels


def _with_earlier(
    reference: ModelReference, window: WindowCounts, earlier: Sequence[Callable[[], WindowCounts]], min_rows: int
) -> tuple[AnyArray, IntArray, IntArray]:
    """Add earlier windows to the cells that have few rows: their counts, the window's totals, rows with intervals."""
    counts, totals = window.aligned(reference)
    intervals = totals[:, [INTERVALS, OUTSIDE]].copy()
    for read in earlier[:MOST_WINDOWS]:
        few, few_intervals = counts.sum(axis=-1) < min_rows, intervals[:, 0] < min_rows
        if not few.any():
            break
        more, more_totals = read().aligned(reference)
        counts[few] += more[few]
        intervals[few_intervals] += more_totals[few_intervals][:, [INTERVALS, OUTSIDE]]
    return counts, totals, intervals


def _coverage(
    intervals: IntArray, calibration: tuple[IntArray, float] | None, min_rows: int
) -> tuple[AnyArray, BoolArray]:
    """p-value of so many rows outside, or more, and whether these are five points more than there should be.

    The radius is an order statistic of the calibration's residuals, so that the number outside is beta-binomial.
    """
    p_values = np.full(len(intervals), np.nan)
    if calibration is None:
        return p_values, np.zeros(len(intervals), dtype=bool)
    residuals, level = calibration
    rank = np.ceil(np.round((residuals + 1) * level, 9))
    tested = (intervals[:, 0] >= min_rows) & (residuals >= rank)
    rows, outside = intervals[tested].T
    p_values[tested] = at_least_beta_binomial(outside, rows, (residuals + 1 - rank)[tested], rank[tested])
    share = intervals[:, 1] / np.maximum(intervals[:, 0], 1)
    return p_values, share >= 1 - level + 0.05


def _without(
    reference: ModelReference, counts: AnyArray, named: BoolArray, sums: list[CellSums], factors: AnyArray
) -> list[CellSums]:
    """Take from the parents what cells added that alarm themselves: a few far away are no change of all."""
    alarmed = np.flatnonzero(named.any(axis=1))
    if not len(alarmed):
        return sums
    theirs = np.where(named[alarmed][..., None], counts[alarmed], 0)
    parents = [(codes[alarmed], len(keys)) for keys, codes in reference.parents]
    taken = judge_cells(reference.cells.take(alarmed), theirs, parents, _UPWARD, 0, factors)[1]
    return [whole.less(part) for whole, part in zip(sums, taken, strict=True)]
