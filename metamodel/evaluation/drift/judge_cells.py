"""All cells of all groups, and of their parents, in chunks of groups: p-values and effects."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.evaluation.drift.bin_sums import by_slot
from metamodel.evaluation.drift.bins import MISSING, OTHER, UNSEEN
from metamodel.evaluation.drift.calibration import cell_factors, deflated, variance_factors
from metamodel.evaluation.drift.category_tests import category_p_values, missing_p_values, unseen_p_values
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.evaluation.drift.effects import distribution_moves, missing_moves
from metamodel.evaluation.drift.exact_tails import hypergeometric_moments
from metamodel.evaluation.drift.expected_shares import tied_edges
from metamodel.evaluation.drift.known_tails import KnownTails, TailMemory
from metamodel.evaluation.drift.multiple_testing import simes
from metamodel.evaluation.drift.number_tests import number_cells
from metamodel.evaluation.drift.pooled_cells import CellSums, pooled_p_values

__all__ = ["DISTRIBUTION", "MISSING_VALUES", "UNSEEN_CATEGORIES", "JudgedCells", "judge_cells", "judge_parents"]

# What changed in a cell, by place in `JudgedCells.parts`.
DISTRIBUTION: Final = 0

UNSEEN_CATEGORIES: Final = 1

MISSING_VALUES: Final = 2

# Groups whose cells are looked at together: what is made of them stays in the processor's cache.
_CHUNK_GROUPS = 1024


@dataclass(frozen=True)
class JudgedCells:
    """Tests and effects of the cells of one level.

    Attributes
    ----------
    rows
        Shape (n, n_columns): rows of the window, or of the windows behind it where it alone has too few.
    p_value
        Shape (n, n_columns): Simes' combination of `parts`; NaN where nothing was tested.
    parts
        Shape (n, n_columns, 3): of the distribution, of unseen categories, of missing values.
    effect
        Shape (n, n_columns), float32: first Wasserstein distance in standard deviations; of categories the total
        variation. Of a parent the same of its groups' mean moves.
    rises
        Shape (n, n_columns, 2), float32: rise of the share of unseen categories and of missing values.
    """

    rows: AnyArray
    p_value: AnyArray
    parts: AnyArray
    effect: AnyArray
    rises: AnyArray

    @classmethod
    def empty(cls, n: int, n_columns: int) -> Self:
        """Make room for cells that are judged chunk by chunk."""
        wide, narrow = ((n, n_columns), np.float64), ((n, n_columns), np.float32)
        parts, rises = ((n, n_columns, 3), np.float64), ((n, n_columns, 2), np.float32)
        return cls(*(np.empty(shape, dtype) for shape, dtype in (wide, wide, parts, narrow, rises)))

    def put(self, groups: slice, cells: "JudgedCells") -> None:
        """Take over what was found of some groups."""
        for own in fields(self):
            getattr(self, own.name)[groups] = getattr(cells, own.name)

    def matters(self, min_effect: float, min_rise: float = 0.05) -> BoolArray:
        """Say which cells changed by as much as anybody cares about, shape (n, n_columns)."""
        return np.asarray(self.parts_that_matter(min_effect, min_rise).any(axis=-1))

    def parts_that_matter(self, min_effect: float = 0.1, min_rise: float = 0.05) -> BoolArray:
        """Say which of the parts that make a cell's p-value small moved far enough, shape (n, n_columns, 3).

        A column of which two values more are missing, for certain, did not change for that its few rows look different.
        """
        with np.errstate(invalid="ignore"):
            carry = self.parts <= self.p_value[..., None]
        effects = np.concatenate([(self.effect >= min_effect)[..., None], self.rises >= min_rise], axis=-1)
        return np.asarray(carry & effects)


def judge_cells(
    reference: DriftReference,
    counts: AnyArray,
    parents: Sequence[tuple[IntArray, int]] = (),
    upward: Sequence[str] = (),
    min_rows: int = 20,
    factors: AnyArray | None = None,
) -> tuple[JudgedCells, list[CellSums]]:
    """Compare the counts of a window with the reference.

    Parameters
    ----------
    reference
        Of n_groups groups.
    counts
        From `count_rows`, shape (n_groups, n_columns, 12).
    parents
        For each level above the groups: the number of each group's parent, -1 for none, and how many parents there are.
    upward
        Columns of which only larger values are of interest.
    min_rows
        Cells with fewer rows, missing ones with them, are not tested; they count for their parents.
    factors
        From `variance_factors`; by default of this reference.

    Returns
    -------
    cells : JudgedCells
        Of the groups.
    sums : list of CellSums
        Of the parents of each level in turn, for `judge_parents`.
    """
    numbers, one_sided = _masks(reference, upward)
    pooled = variance_factors(reference) if factors is None else factors
    sums = [CellSums.zeros(number, len(numbers)) for _, number in parents]
    judged = JudgedCells.empty(len(reference), len(numbers))
    known_tails = KnownTails(len(reference) * len(numbers))
    for start in range(0, len(reference), _CHUNK_GROUPS):
        chunk = slice(start, start + _CHUNK_GROUPS)
        of_chunk = reference.take(chunk)
        cells, to_add = _judged_chunk(of_chunk, counts[chunk], pooled, (numbers, one_sided), min_rows, known_tails)
        judged.put(chunk, cells)
        for total, (numbers_of_parents, _) in zip(sums, parents, strict=True):
            total.add(to_add, numbers_of_parents[chunk])
    return judged, sums


def _masks(reference: DriftReference, upward: Sequence[str]) -> tuple[BoolArray, BoolArray]:
    numbers = np.array([kind == "number" for kind in reference.kinds], dtype=bool)
    return numbers, np.array([name in upward for name in reference.columns], dtype=bool)


def _selector(columns: BoolArray) -> BoolArray | slice:
    """Choose columns without a copy, where they stand side by side."""
    places = np.flatnonzero(columns)
    side_by_side = len(places) and places[-1] - places[0] == len(places) - 1
    return slice(int(places[0]), int(places[-1]) + 1) if side_by_side else columns


def _judged_chunk(
    reference: DriftReference,
    counts: AnyArray,
    pooled: AnyArray,
    masks: tuple[BoolArray, BoolArray],
    min_rows: int,
    known: KnownTails,
) -> tuple[JudgedCells, CellSums]:
    numbers, upward = masks
    chosen = _selector(numbers)
    old, new = by_slot(reference.counts), by_slot(counts)
    rows_before, rows = old.sum(axis=-1), new.sum(axis=-1)
    factors = cell_factors(pooled, rows_before, rows)
    sums = CellSums.zeros(len(reference), len(numbers))
    parts = np.full((*rows.shape, 3), np.nan, order="F")
    of_numbers = old[:, chosen], new[:, chosen]
    ties = tied_edges(reference.edges)
    tests = number_cells(*of_numbers, factors[:, chosen], upward[chosen], known.beta_binomial, ties)
    parts[:, chosen, DISTRIBUTION] = tests.p_value
    sums.excess[:, chosen, :4] = tests.excess
    sums.variance[:, chosen, :4] = tests.variance * factors[:, chosen][..., [0, 1, 1, 2]]
    sums.moves[:, chosen, :9] = distribution_moves(
        *of_numbers, by_slot(reference.edges), by_slot(reference.tails), reference.moments[..., 1]
    )
    if not numbers.all():
        _judge_categories(old, new, factors, _selector(~numbers), parts, sums, known.hypergeometric)
    _judge_missing(old, new, factors[..., 3], parts, sums, known.hypergeometric)
    parts[rows < min_rows] = np.nan
    sums.squares = sums.excess**2
    effect, rises = np.abs(sums.moves).sum(axis=-1), sums.rises.copy()
    sums.rows = np.where(rows_before > 0, rows, 0.0)
    # A few groups that moved far must not look like all of them having moved a bit.
    sums.moves *= (sums.rows / np.maximum(effect, 1.0))[..., None]
    sums.rises *= sums.rows[..., None]
    cells = JudgedCells(rows, simes(parts), parts, effect.astype(np.float32), rises.astype(np.float32))
    return cells, sums


def _judge_categories(
    before: AnyArray,
    now: AnyArray,
    factors: AnyArray,
    chosen: BoolArray | slice,
    parts: AnyArray,
    sums: CellSums,
    known: TailMemory,
) -> None:
    old, new = before[:, chosen], now[:, chosen]
    parts[:, chosen, DISTRIBUTION] = deflated(category_p_values(old, new, known), factors[:, chosen, 0])
    parts[:, chosen, UNSEEN_CATEGORIES] = unseen_p_values(old, new, known)
    strangers = new[..., UNSEEN] + np.where(old[..., OTHER] == 0, new[..., OTHER], 0)
    rows_before = old[..., :MISSING].sum(axis=-1, keepdims=True)
    rows = new[..., :MISSING].sum(axis=-1, keepdims=True)
    counted = np.concatenate([new[..., :UNSEEN], strangers[..., None]], axis=-1)
    counted_before = np.concatenate([old[..., :UNSEEN], np.zeros_like(rows)], axis=-1)
    counted[..., OTHER] += new[..., UNSEEN]
    mean, variance = hypergeometric_moments(counted, rows, counted_before, rows_before)
    tested = (rows > 0) & (rows_before > 0)
    sums.excess[:, chosen, :MISSING] = np.where(tested, counted - mean, 0.0)
    sums.variance[:, chosen, :MISSING] = np.where(tested, variance, 0.0) * factors[:, chosen, :1]
    shares = counted / np.maximum(rows, 1) - counted_before / np.maximum(rows_before, 1)
    shares = np.where(tested, shares, 0.0)
    sums.moves[:, chosen] = shares[..., :UNSEEN] / 2  # their absolute values sum up to the total variation
    sums.rises[:, chosen, 0] = shares[..., UNSEEN]


def _judge_missing(
    before: AnyArray, now: AnyArray, factors: AnyArray, parts: AnyArray, sums: CellSums, known: TailMemory
) -> None:
    """Test whether values are missing, in the columns in which one is, before or now."""
    some: BoolArray = np.asarray(((before[..., MISSING] > 0) | (now[..., MISSING] > 0)).any(axis=0))
    if not some.any():
        return
    chosen = _selector(some)
    old, new, widened = before[:, chosen], now[:, chosen], factors[:, chosen]
    parts[:, chosen, MISSING_VALUES] = deflated(missing_p_values(old, new, known), widened)
    rows_before, rows = old.sum(axis=-1), new.sum(axis=-1)
    mean, variance = hypergeometric_moments(new[..., MISSING], rows, old[..., MISSING], rows_before)
    tested = (rows > 0) & (rows_before > 0)
    sums.excess[:, chosen, MISSING] = np.where(tested, new[..., MISSING] - mean, 0.0)
    sums.variance[:, chosen, MISSING] = np.where(tested, variance, 0.0) * widened
    sums.rises[:, chosen, 1] = np.where(tested, missing_moves(old, new), 0.0)


def judge_parents(
    reference: DriftReference, sums: CellSums, upward: Sequence[str] = (), min_rows: int = 20
) -> JudgedCells:
    """Judge the parents of one level by what was added up of their groups; see `judge_cells`."""
    numbers, one_sided = _masks(reference, upward)
    distribution, others = pooled_p_values(sums, numbers, one_sided)
    parts = np.concatenate([distribution[..., None], others], axis=-1)
    parts[:, numbers, UNSEEN_CATEGORIES] = np.nan
    parts[sums.rows < min_rows] = np.nan
    effect, rises = sums.effects()
    return JudgedCells(sums.rows, simes(parts), parts, effect.astype(np.float32), rises.astype(np.float32))
