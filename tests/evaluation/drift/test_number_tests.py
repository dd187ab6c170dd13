import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from metamodel.evaluation.drift.bins import BINS, SLOTS
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.number_tests import chance_windows, number_cells, number_excess

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize(("trained", "rows"), [(12, 60), (26, 48), (104, 48)])
def test_scores_of_many_groups_vary_as_they_are_said_to_however_few_rows_the_reference_has(
    trained: int, rows: int
) -> None:
    rng, groups = np.random.default_rng(0), 20_000
    reference = build_reference(
        DriftColumns({"x": rng.normal(size=groups * trained)}), np.repeat(np.arange(groups), trained), groups
    )
    window = DriftColumns({"x": rng.normal(size=groups * rows)})
    excess, variance = number_excess(
        reference.counts, count_rows(reference, window, np.repeat(np.arange(groups), rows))
    )
    z = (excess / np.sqrt(variance))[:, 0, 0]
    assert z.var() == pytest.approx(1, abs=0.03)
    assert (abs(z) > 2.576).mean() < 0.0115


def test_rows_that_moved_by_a_standard_deviation_are_not_taken_for_rows_that_moved_by_less() -> None:
    """Of what the test of known standard deviation says, 4.4, ranks say 3.87: the largest one is soon reached."""
    rng, groups, trained, rows = np.random.default_rng(1), 2000, 104, 24
    reference = build_reference(
        DriftColumns({"x": rng.normal(size=groups * trained)}), np.repeat(np.arange(groups), trained), groups
    )
    window = DriftColumns({"x": rng.normal(1, size=groups * rows)})
    excess, variance = number_excess(
        reference.counts, count_rows(reference, window, np.repeat(np.arange(groups), rows))
    )

    assert (excess / np.sqrt(variance))[:, 0, 0].mean() > 3.95


@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(5, 200))
def test_the_sum_of_scores_agrees_with_van_der_waerden_on_values_without_ties(
    seed: int, trained: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    before, now = rng.normal(size=trained), rng.normal(0.2, size=rows)
    reference = build_reference(DriftColumns({"x": before}), np.zeros(trained, dtype=int), 1)
    counts = count_rows(reference, DriftColumns({"x": now}), np.zeros(rows, dtype=int))

    cells = number_cells(reference.counts, counts, np.ones((1, 1, 3)), np.zeros(1, dtype=bool))
    z = cells.excess[0, 0, 0] / np.sqrt(cells.variance[0, 0, 0])

    every = trained + rows
    scores = stats.norm.ppf(stats.rankdata(np.concatenate([now, before])) / (every + 1))
    variance = trained * rows / (every * (every - 1)) * (scores**2).sum()
    exact = scores[:rows].sum() / np.sqrt(variance)
    assert z == pytest.approx(exact, abs=0.75)


@pytest.mark.parametrize("zeros", [0.0, 0.6])
def test_windows_that_are_drawn_are_as_far_from_their_reference_as_the_law_says(zeros: float) -> None:
    rng, groups, trained = np.random.default_rng(2), 20_000, 26
    values = rng.normal(size=groups * trained) * (rng.random(groups * trained) >= zeros)
    reference = build_reference(DriftColumns({"x": values}), np.repeat(np.arange(groups), trained), groups)
    rows = np.arange(groups) % 40 + 10

    drawn = chance_windows(reference.counts[:, 0], rows, rng)

    assert (drawn.sum(axis=1) == rows).all()
    excess, variance = number_excess(reference.counts[:, 0], drawn)
    z = excess / np.sqrt(variance)
    assert z.mean(axis=0) == pytest.approx(0, abs=0.05)
    assert z[:, 1:].var(axis=0) == pytest.approx(1, abs=0.05)


LEVELS = 10.0 ** -np.arange(2, 9)


def law_of_scores(trained: int, rows: int, step: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """Standardised sums of scores of a window of a reference without ties, and their probabilities, exactly.

    A new row enters each of the blocks between the reference's rows with equal chance, so that the rows of a window
    fall into the bins as the Dirichlet-multinomial law says. Its generating function is a product over the bins, whose
    coefficients follow from one another (Newton's identities) at each frequency. Scores are rounded to steps, so that
    the sums lie on a lattice.
    """
    reference = build_reference(DriftColumns({"x": np.arange(float(trained))}), np.zeros(trained, dtype=int), 1)
    between = DriftColumns({"x": np.arange(trained + 1) - 0.5})
    blocks = count_rows(reference, between, np.zeros(trained + 1, dtype=int))[0, 0, :BINS]
    one_row = np.eye(BINS, SLOTS)[:, None]
    scores, _ = number_excess(np.broadcast_to(reference.counts, one_row.shape), one_row)
    steps = np.rint(scores[:, 0, 0] / step).astype(int)
    most = int(abs(steps).max()) * rows
    turns = 2 * np.pi / (2 * most + 1) * np.outer(steps, np.arange(most + 1))
    # The next power is the one before, turned once more: an exponential of each takes twice as long as all the rest.
    once = np.exp(-1j * turns)
    powers = [blocks @ turned for turned in itertools.accumulate(itertools.repeat(once, rows), np.multiply)]
    ways = special.binom(np.arange(rows + 1) + trained, trained)
    laws = [np.ones(most + 1, dtype=complex)]
    for new in range(1, rows + 1):
        terms = (ways[new - k] / ways[new] * powers[k - 1] * laws[new - k] for k in range(1, new + 1))
        laws.append(sum(terms) / new)
    probabilities = np.fft.fftshift(np.fft.irfft(laws[-1], 2 * most + 1))
    _, variance = number_excess(reference.counts, rows * one_row[:1])
    return step * np.arange(-most, most + 1) / np.sqrt(variance[0, 0, 0]), probabilities


@pytest.mark.parametrize(("trained", "rows"), [(12, 40), (26, 20), (26, 60), (104, 20), (104, 40), (104, 60)])
def test_sums_of_scores_are_as_seldom_far_out_as_a_normal_law_says_where_a_million_cells_are_tested(
    trained: int, rows: int
) -> None:
    """Of a million cells those alarm whose p-value is below some 1e-7: no simulation comes that far."""
    z, probabilities = law_of_scores(trained, rows)
    assert probabilities.sum() == pytest.approx(1)

    beyond = [probabilities[abs(z) >= stats.norm.isf(level / 2)].sum() for level in LEVELS]

    assert (np.array(beyond) <= 1.1 * LEVELS).all()
    assert beyond[0] >= 0.8 * LEVELS[0]  # and not as safe as that nothing is found


UNCHANGED = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(2, size=size),
    "lognormal": lambda rng, size: rng.lognormal(size=size),
    "zeros": lambda rng, size: np.maximum(rng.exponential(size=size) + np.log(0.4), 0),
    "mostly zeros": lambda rng, size: np.where(rng.random(size) < 0.85, 0.0, rng.exponential(size=size)),
    "integers": lambda rng, size: rng.poisson(5, size=size).astype(float),
    "few integers": lambda rng, size: rng.poisson(1, size=size).astype(float),
    "rounded": lambda rng, size: np.round(3 * rng.normal(size=size)),
}


@pytest.mark.parametrize(("trained", "rows"), [(26, 20), (26, 100), (104, 20), (104, 40)])
def test_p_values_of_cells_in_which_nothing_changed_are_no_smaller_than_they_say(trained: int, rows: int) -> None:
    rng, groups = np.random.default_rng((trained, rows)), 10_000
    before, now = (
        DriftColumns({name: law(rng, groups * size) for name, law in UNCHANGED.items()}) for size in (trained, rows)
    )
    reference = build_reference(before, np.repeat(np.arange(groups), trained), groups)
    counts = count_rows(reference, now, np.repeat(np.arange(groups), rows))
    factors, two_sided = np.ones((groups, len(UNCHANGED), 3)), np.zeros(len(UNCHANGED), dtype=bool)

    p_values = number_cells(reference.counts, counts, factors, two_sided).p_value

    for level in (0.01, 0.001):
        small = (p_values < level).sum(axis=0)
        assert (small <= stats.binom.isf(1e-4, groups, level)).all(), dict(zip(UNCHANGED, small, strict=True))
        assert small.sum() <= stats.binom.isf(1e-4, groups * len(UNCHANGED), level)
