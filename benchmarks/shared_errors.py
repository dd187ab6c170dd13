"""Would groups with few held-out rows be seen better if what all groups' errors say together were used?

    python benchmarks/shared_errors.py                    # 26 held-out rows, 24 labels
    python benchmarks/shared_errors.py --labels 48        # two windows of labels

Errors lean by 1 sd in 2 % of the groups, and spread differently in each group. `leaning`: the standard deviation of the
groups' own means, in all of them (normal), or in a tenth of them alone (few); `refitted`: by how much the child that
answers leans otherwise than the one whose errors were held out. Three tests: monitoring's own; the mean by empirical
Bayes, normal prior, with moderated variances (Smyth 2004); and the share of errors above zero by empirical Bayes
without a form of the prior (its likelihood's maximum: Kiefer and Wolfowitz 1956), which assumes no law of errors.
docs/decisions/0027-shared-errors.md says what follows.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import show
from scipy import special, stats

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.calibration import empirical_factors, variance_factors
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR
from metamodel.evaluation.drift.judge_cells import judge_cells
from metamodel.evaluation.drift.multiple_testing import named_cells, rejected

Errors = np.ndarray

# Leaning, of whom, and how differently the refitted child leans.
WORLDS = ((0.0, "all", 0.0), (0.2, "all", 0.0), (0.4, "all", 0.0), (0.4, "few", 0.0), (0.2, "all", 0.2))

# Shares of errors above zero that a group can have.
SHARES = np.linspace(0.005, 0.995, 100)


def _errors(law: str, shape: tuple[int, int], rng: np.random.Generator) -> Errors:
    """Errors of mean 0 and standard deviation 1."""
    if law == "lognormal":
        values = np.exp(0.8 * rng.normal(size=shape))
        return (values - np.exp(0.32)) / np.sqrt(np.expm1(0.64) * np.exp(0.64))
    if law == "counts":
        return (rng.poisson(2, size=shape) - 2 + 0.01) / np.sqrt(2)
    if law == "heavy":
        return rng.standard_t(3, size=shape) / np.sqrt(3)
    return rng.normal(size=shape)


def _world(
    law: str, world: tuple[float, str, float], args: argparse.Namespace, rng: np.random.Generator
) -> tuple[np.ndarray, Errors, Errors]:
    leaning, who, refitted = world
    changed = rng.random(args.groups) < 0.02
    leans = rng.normal(0, leaning, args.groups)
    if who == "few":
        leans *= np.sqrt(10) * (rng.random(args.groups) < 0.1)
    scale = np.exp(rng.normal(0, 0.3, args.groups))[:, None]
    before = _errors(law, (args.groups, args.held), rng) + leans[:, None]
    now = _errors(law, (args.groups, args.labels), rng) + (leans + changed)[:, None]
    now += rng.normal(0, refitted, (args.groups, 1))
    return changed, before * scale, now * scale


def by_bins(before: Errors, now: Errors) -> np.ndarray:
    """Monitoring's own tests."""
    columns = [DriftColumns({ERROR: of.reshape(-1), ABSOLUTE_ERROR: np.abs(of).reshape(-1)}) for of in (before, now)]
    codes = [np.repeat(np.arange(len(errors)), errors.shape[1]) for errors in (before, now)]
    reference = build_reference(columns[0], codes[0], len(before))
    counts = count_rows(reference, columns[1], codes[1])
    expected = empirical_factors(reference, counts, [ERROR, ABSOLUTE_ERROR])
    factors = np.maximum(variance_factors(reference), expected)
    cells, _ = judge_cells(reference, counts, upward=[ABSOLUTE_ERROR], factors=factors)
    alarms: np.ndarray = (named_cells(cells.p_value, 0.05)[1] & cells.matters(0.1)).any(axis=1)
    return alarms


def by_means(before: Errors, now: Errors) -> np.ndarray:
    """The held-out mean, shrunk as far as all groups' means say; in units of moderated standard deviations."""
    held, labels = before.shape[1], now.shape[1]
    freedom = held - 1
    logs = np.log(before.var(axis=1, ddof=1)) - special.digamma(freedom / 2) + np.log(freedom / 2)
    prior = 2 * _inverse_trigamma(max(logs.var(ddof=1) - special.polygamma(1, freedom / 2), 1e-3))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    sd = np.sqrt((prior * common + freedom * before.var(axis=1, ddof=1)) / (prior + freedom))
    means = before.mean(axis=1) / sd
    between = max(means.var() - 1 / held, 0.0)
    kept = between / (between + 1 / held)
    expected = means.mean() + kept * (means - means.mean())
    apart = (now.mean(axis=1) / sd - expected) / np.sqrt(1 / labels + kept / held)
    return rejected(2 * stats.t.sf(np.abs(apart), prior + freedom), 0.05)


def _inverse_trigamma(value: float) -> float:
    guess = 0.5 + 1 / value
    for _ in range(30):  # Newton's steps, which come from one side
        trigamma = float(special.polygamma(1, guess))
        guess += trigamma * (1 - trigamma / value) / float(special.polygamma(2, guess))
    return guess


def by_signs(before: Errors, now: Errors) -> np.ndarray:
    """How many errors lie above zero, given how many held-out ones did, and what shares the groups have."""
    above, held = (before > 0).sum(axis=1), before.shape[1]
    likelihood = stats.binom.pmf(np.arange(held + 1)[:, None], held, SHARES)
    weights = np.full(len(SHARES), 1 / len(SHARES))
    for _ in range(300):
        posterior = likelihood * weights
        posterior /= posterior.sum(axis=1, keepdims=True)
        weights = np.bincount(above, minlength=held + 1) @ posterior / len(above)
    seen, labels = (now > 0).sum(axis=1), now.shape[1]
    counts = np.arange(labels + 1)[:, None]
    below, beyond = (posterior @ tail.T for tail in (stats.binom.cdf(counts, labels, SHARES),
                                                     stats.binom.sf(counts - 1, labels, SHARES)))  # fmt: skip
    p_values = np.minimum(2 * np.minimum(below, beyond), 1.0)[above, seen]
    normal = stats.norm.isf(p_values / 2)
    widened = max(1.0, float(np.quantile(normal, 0.8)) / stats.norm.isf(0.1))  # the middle eight tenths, as for bins
    return rejected(2 * stats.norm.sf(normal / widened), 0.05)


TESTS: dict[str, Callable[[Errors, Errors], np.ndarray]] = {
    "monitoring's": by_bins,
    "mean, empirical Bayes": by_means,
    "signs, empirical Bayes": by_signs,
}


def compare(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Power and false discoveries of each test in each world."""
    for number, (law, world) in enumerate((law, world) for law in args.laws.split(",") for world in WORLDS):
        changed, before, now = _world(law, world, args, np.random.default_rng((args.seed, number)))
        for name, test in TESTS.items():
            alarms = test(before, now)
            false = int((alarms & ~changed).sum())
            yield {
                "errors": law,
                "leaning": f"{world[0]:g} in {world[1]}, refitted {world[2]:g}",
                "test": name,
                "power": (alarms & changed).sum() / changed.sum(),
                "false": f"{false} of {int(alarms.sum())} ({false / max(int(alarms.sum()), 1):.0%})",
            }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--held", type=int, default=26)
    parser.add_argument("--labels", type=int, default=24)
    parser.add_argument("--laws", default="normal,lognormal,counts,heavy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    show(list(compare(parsed)), parsed.json)
