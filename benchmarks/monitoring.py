"""How often monitoring cries wolf, what it finds, and what it costs.

    python benchmarks/monitoring.py false-alarms                  # 52 windows x 50,000 groups x 20 columns
    python benchmarks/monitoring.py false-alarms --correlation 0.6
    python benchmarks/monitoring.py power
    python benchmarks/monitoring.py performance
    python benchmarks/monitoring.py bounds                        # ... and what tests of the errors themselves reach
    python benchmarks/monitoring.py cost                          # against a loop of ks_2samp; and against --peers

Every group has a reference of 104 rows. Columns follow six laws in turn: normal, Student's t with 3 degrees of freedom,
lognormal, exponential with 60 % zeros, Poisson(5), normal with 30 % missing. With a correlation the rows of a group
follow one another as an AR(1) process does, whose values are brought to these laws by their quantiles.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import show
from scipy import special, stats

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.calibration import empirical_factors, variance_factors
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, DriftReference
from metamodel.evaluation.drift.judge_cells import judge_cells
from metamodel.evaluation.drift.multiple_testing import named_cells, rejected, simes

TRAINED = 104
COLUMNS = 20
LAWS = ("normal", "heavy", "lognormal", "zeros", "integers", "gaps")

# Groups that are drawn at a time; memory follows this number.
CHUNK = 2500


def laws(normal: np.ndarray, rng: np.random.Generator) -> DriftColumns:
    """Bring normal values, shape (columns, rows), to the laws of the columns."""
    columns = {}
    for i, values in enumerate(normal):
        law = LAWS[i % len(LAWS)]
        if law == "lognormal":
            values = np.exp(values)
        elif law == "gaps":
            values = np.where(rng.random(values.size) < 0.3, np.nan, values)
        elif law == "heavy":
            values = special.stdtrit(3.0, special.ndtr(values))
        elif law == "zeros":
            values = np.maximum(-np.log1p(-np.clip(special.ndtr(values), 0, 1 - 1e-15)) + np.log(0.4), 0.0)
        elif law == "integers":
            values = np.searchsorted(stats.poisson.cdf(np.arange(40), 5), special.ndtr(values)).astype(np.float64)
        columns[f"{law}-{i}"] = values
    return DriftColumns(columns)


class Series:
    """Rows of some groups that go on from window to window."""

    def __init__(self, groups: int, correlation: float, rng: np.random.Generator) -> None:
        self.groups, self.correlation, self.rng = groups, correlation, rng
        self.last = rng.normal(size=(COLUMNS, groups))

    def next(self, rows: int) -> np.ndarray:
        """The next rows of each group, shape (columns, groups x rows)."""
        if not self.correlation:
            return self.rng.standard_normal((COLUMNS, self.groups * rows))
        values = np.empty((COLUMNS, self.groups, rows))
        noise = np.sqrt(1 - self.correlation**2)
        for row in range(rows):
            self.last = self.correlation * self.last + noise * self.rng.standard_normal(self.last.shape)
            values[:, :, row] = self.last
        return values.reshape(COLUMNS, -1)


def _reference(series: Series, share: float) -> DriftReference:
    groups, times = np.repeat(np.arange(series.groups), TRAINED), np.tile(np.arange(TRAINED), series.groups)
    replayed = np.arange(series.groups) < share * series.groups
    return build_reference(laws(series.next(TRAINED), series.rng), groups, series.groups, times, replayed)


def _chunks(groups: int, correlation: float, seed: int, replayed: int) -> list[tuple[Series, DriftReference]]:
    """Groups and their references; the windows of some are replayed, of as many as a training replays."""
    made = []
    for start in range(0, groups, CHUNK):
        series = Series(min(CHUNK, groups - start), correlation, np.random.default_rng((seed, start)))
        made.append((series, _reference(series, replayed / groups)))
    return made


def false_alarms(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Windows in which nothing changed."""
    chunks = _chunks(args.groups, args.correlation, args.seed, args.replayed)
    factors = np.average([variance_factors(reference) for _, reference in chunks], axis=0)
    windows, alarms = 0, 0
    for window in range(args.windows):
        p_values, matters = [], []
        for series, reference in chunks:
            codes = np.repeat(np.arange(series.groups), args.rows)
            counts = count_rows(reference, laws(series.next(args.rows), series.rng), codes)
            cells, _ = judge_cells(reference, counts, factors=factors)
            p_values.append(cells.p_value)
            matters.append(cells.matters(0.1))
        named = named_cells(np.concatenate(p_values), 0.05)[1] & np.concatenate(matters)
        windows += bool(named.any())
        alarms += int(named.any(axis=1).sum())
        if args.verbose:
            print(window, int(named.any(axis=1).sum()), file=sys.stderr, flush=True)
    yield {
        "figure": f"alarms in {args.windows} windows: {args.groups} groups x {args.rows} rows",
        "correlation": args.correlation,
        "goal": "<= 10 %" if args.correlation else "<= 5 %",
        "measured": f"{windows} ({windows / args.windows:.0%})",
        "alarms": alarms,
        "factors": f"{factors[:, :, 0].min():.2f} to {factors[:, :, 0].max():.2f}",
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


CHANGES = {
    "shift +1 sd": (lambda x, rng: x + 1, 0.9, 30),
    "sd x 2.5": (lambda x, rng: x * 2.5, 0.75, 100),
    "30 % from 4 sd away": (lambda x, rng: np.where(rng.random(x.shape) < 0.3, x + 4, x), 0.95, 100),
    "+20 points missing": (lambda x, rng: np.where(rng.random(x.shape) < 0.2, np.nan, x), None, None),
    "x 1000": (None, None, None),
    "unseen category": (None, None, None),
}


def power(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Changes of 3 columns of 20 in 2 % of the groups."""
    rng = np.random.default_rng(args.seed)
    groups = args.groups
    series = Series(groups, 0.0, rng)
    codes = np.repeat(np.arange(groups), TRAINED)
    trained = _with_categories(laws(series.next(TRAINED), rng), rng)
    reference = build_reference(trained, codes, groups)
    del trained
    for name, (change, goal, goal_rows) in CHANGES.items():
        for rows in (20, 30, 100):
            changed = rng.random(groups) < 0.02
            codes = np.repeat(np.arange(groups), rows)
            window = _with_categories(laws(series.next(rows), rng), rng)
            planted = _plant(window, name, change, changed[codes], rng)
            cells, _ = judge_cells(reference, count_rows(reference, window, codes))
            named = named_cells(cells.p_value, 0.05)[1] & cells.matters(0.1)
            alarms = named.any(axis=1)
            right = named[:, planted] & changed[:, None]
            found = int((alarms & changed).sum())
            yield {
                "change": name,
                "rows": rows,
                "goal": f">= {goal}" if goal_rows == rows else None,
                "power": found / changed.sum(),
                "false discoveries": f"{int((alarms & ~changed).sum())} of {int(alarms.sum())}",
                "right columns": f"{int(right.sum())} of {int(named[changed].sum())} named",
            }


def _with_categories(columns: DriftColumns, rng: np.random.Generator) -> DriftColumns:
    """Make the last three columns categories."""
    values = dict(list(columns.values.items())[: COLUMNS - 3])
    categories = {
        f"category-{i}": rng.choice(np.arange(1, 7).astype(np.uint64), len(columns), p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
        for i in range(3)
    }
    texts = {name: {code: str(code) for code in range(1, 7)} for name in categories}
    return DriftColumns({**values, **categories}, texts)


def _plant(window: DriftColumns, name: str, change: Any, rows: np.ndarray, rng: np.random.Generator) -> list[int]:
    names = list(window.values)
    laws_changed = {"x 1000": "lognormal", "unseen category": "category"}.get(name, "normal")
    places = [i for i, column in enumerate(names) if column.startswith(laws_changed)][:3]
    for place in places:
        values = window.values[names[place]]
        if name == "x 1000":
            values[rows] *= 1000
        elif name == "unseen category":
            strange = rows & (rng.random(len(rows)) < 0.3)
            values[strange] = np.uint64(99)
        else:
            values[rows] = change(values[rows], rng)
    return places


def performance(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Errors grow, or lean to one side, in 2 % of the groups, and no feature says so: 30 rows, 20 % without a label."""
    rng = np.random.default_rng(args.seed)
    groups, held = args.groups, args.held
    codes = np.repeat(np.arange(groups), held)
    errors = rng.normal(size=groups * held)
    reference = build_reference(DriftColumns({ERROR: errors, ABSOLUTE_ERROR: np.abs(errors)}), codes, groups)
    for name in ("bias of 1 sd", "slope turned"):
        changed = rng.random(groups) < 0.02
        both = np.zeros((groups, 2, 12), dtype=np.int64)
        for windows in (1, 2):
            rows = rng.permutation(np.repeat(np.arange(groups), 30))
            rows = rows[rng.random(len(rows)) < 0.8]
            errors = rng.normal(size=len(rows))
            there = changed[rows]
            errors[there] += 1.0 if name.startswith("bias") else 2.0 * rng.normal(size=int(there.sum()))
            both += count_rows(reference, DriftColumns({ERROR: errors, ABSOLUTE_ERROR: np.abs(errors)}), rows)
            # As `metamodel.monitor` does: what most groups show is to be expected.
            expected = empirical_factors(reference, both, [ERROR, ABSOLUTE_ERROR])
            factors = np.maximum(variance_factors(reference), expected)
            cells, _ = judge_cells(reference, both, upward=[ABSOLUTE_ERROR], factors=factors)
            alarms = (named_cells(cells.p_value, 0.05)[1] & cells.matters(0.1)).any(axis=1)
            suspicious = np.argsort(np.nan_to_num(simes(cells.p_value), nan=1.0), kind="stable")[: groups // 20]
            yield {
                "change": f"{name}, {held} held-out rows",
                "windows of labels": windows,
                "power": (alarms & changed).sum() / changed.sum(),
                "false discoveries": f"{int((alarms & ~changed).sum())} of {int(alarms.sum())}",
                "list of 5 % recalls": changed[suspicious].sum() / changed.sum(),
            }


def bounds(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Power of tests that see every error, normal as they are, where `performance` sees bins: one window, 1 sd.

    Of the held-out errors the mean leans in each group by chance (`leaning`, in standard deviations).
    """
    rng = np.random.default_rng(args.seed)
    groups, held = args.groups, args.held
    for leaning in (0.0, 0.2, 0.4):
        changed = rng.random(groups) < 0.02
        leans = rng.normal(0, leaning, groups)
        labels = np.maximum(rng.binomial(30, 0.8, groups), 2)
        before, now = leans + rng.normal(size=groups) / np.sqrt(held), rng.normal(size=groups) / np.sqrt(labels)
        apart = leans + changed + now - before
        freedom = held + labels - 2
        scale = np.sqrt(rng.chisquare(freedom) / freedom)
        between = max(float(before.var()) - 1 / held, 0.0)  # of the groups' true means, from all of them together
        shrunk = before * between / (between + 1 / held)
        left = between / held / (between + 1 / held)
        tests = {
            "scale known": 2 * stats.norm.sf(abs(apart) / np.sqrt(1 / labels + 1 / held)),
            "Student's t": 2 * stats.t.sf(abs(apart) / (scale * np.sqrt(1 / labels + 1 / held)), freedom),
            "scale known, empirical Bayes mean": 2
            * stats.norm.sf(abs(leans + changed + now - shrunk) / np.sqrt(1 / labels + left)),
        }
        for name, p_values in tests.items():
            alarms = rejected(p_values, 0.05)
            yield {
                "test": f"{name}, {held} held-out rows",
                "leaning": leaning,
                "power": (alarms & changed).sum() / changed.sum(),
                "false discoveries": f"{int((alarms & ~changed).sum())} of {int(alarms.sum())}",
            }


def cost(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """50,000 groups x 20 columns on 2,000,000 rows."""
    rng = np.random.default_rng(args.seed)
    groups, rows = args.groups, args.groups * args.rows
    reference = DriftReference.concat([made for _, made in _chunks(groups, 0.0, args.seed, args.replayed)])
    codes = rng.integers(0, groups, rows)
    window = DriftColumns({name: rng.standard_normal(rows) for name in reference.columns})
    before = _peak()
    counting, ours, theirs = [], [], []
    for _ in range(3):  # both sides in turn: what else the machine does slows both
        started = time.process_time()
        counts = count_rows(reference, window, codes)
        counting.append(time.process_time() - started)
        cells, _ = judge_cells(reference, counts, [(np.zeros(groups, dtype=np.int64), 1)])
        named_cells(cells.p_value, 0.05)
        ours.append(time.process_time() - started)
        memory = _peak() - before
        del counts, cells
        theirs.append(_loop(groups, rng, args.rows))
    yield {
        "figure": f"{groups} groups x {COLUMNS} columns, {rows} rows: processor seconds, median of 3",
        "goal": "<= 4",
        "measured": float(np.median(ours)),
        "of them counting": float(np.median(counting)),
        "more memory, MB": memory,
        "reference, MB": reference.nbytes / 2**20,
    }
    yield {
        "figure": f"a loop of scipy.stats.ks_2samp over {_LOOPED} groups, scaled: processor seconds, median of 3",
        "goal": ">= 100 times",
        "measured": float(np.median(theirs)),
        "times": float(np.median(theirs) / np.median(ours)),
    }


_LOOPED = 20


def _loop(groups: int, rng: np.random.Generator, rows: int) -> float:
    before, now = rng.normal(size=(_LOOPED, COLUMNS, TRAINED)), rng.normal(size=(_LOOPED, COLUMNS, rows))
    started = time.process_time()
    for group in range(_LOOPED):
        for column in range(COLUMNS):
            stats.ks_2samp(before[group, column], now[group, column])
    return (time.process_time() - started) * groups / _LOOPED


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["false-alarms", "power", "performance", "bounds", "cost"])
    parser.add_argument("--groups", type=lambda text: int(float(text)), default=50_000)
    parser.add_argument("--rows", type=int, default=40, help="rows of a group in a window")
    parser.add_argument("--windows", type=int, default=52)
    parser.add_argument("--held", type=int, default=104, help="held-out rows of a group")
    parser.add_argument(
        "--replayed", type=int, default=4000, help="groups whose windows are replayed, as in a training"
    )
    parser.add_argument("--correlation", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser


RUNS = {"false-alarms": false_alarms, "power": power, "performance": performance, "bounds": bounds, "cost": cost}


if __name__ == "__main__":
    given = _parser().parse_args()
    show(list(RUNS[given.what](given)), given.json)
