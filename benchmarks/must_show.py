"""The figures that this package promises, each measured with both sides in one run, beside its goal.

    python benchmarks/must_show.py                   # all of them, about a quarter of an hour
    python benchmarks/must_show.py ridge-batch       # one of them, a minute or two
    python benchmarks/must_show.py --list

The figures over HTTP are those of `benchmarks/serve.py`. Bundles are made at the first run and kept in `--work`.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import opening
import predict
import training
from measuring import CLOCKS, median_seconds, show
from workloads import workload

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What all figures have in common."""

    work: Path
    repeats: int
    clock: str

    def load(self, family: str, groups: int, rows: int) -> Any:
        """Make a workload."""
        return workload(family, groups, rows, "uniform", 30, self.work)

    def batch(self, family: str, groups: int, rows: int, *, peers: tuple[str, ...], peer_groups: int) -> Row:
        """Measure a batch."""
        options = argparse.Namespace(peers=peers, peer_groups=peer_groups, repeats=self.repeats, clock=self.clock)
        return predict.batch(self.load(family, groups, rows), options)


def _row(what: str, goal: float, measured: float, *, at_most: bool = False) -> Row:
    reached = measured <= goal if at_most else measured >= goal
    sign = "<=" if at_most else ">="
    return {"figure": what, "goal": f"{sign} {goal:g}", "measured": measured, "reached": "yes" if reached else "no"}


def ridge_batch(settings: Settings) -> Iterator[Row]:
    """1,000,000 rows over 50,000 Ridge children against groupby.apply, and against reading the matrix once."""
    found = settings.batch("ridge", 50_000, 1_000_000, peers=("groupby.apply",), peer_groups=1000)
    yield _row("50,000 Ridge: groupby.apply / ours", 500, found["groupby.apply / ours"])
    yield _row("50,000 Ridge: ours / reading the matrix", 30, found["ours / read X"], at_most=True)


def forest_batch(settings: Settings) -> Iterator[Row]:
    """2,000 forests of 20 trees against sorted slices: 10,000 rows, and 1,000,000."""
    for rows, goal in ((10_000, 100), (1_000_000, 8)):
        found = settings.batch("forest", 2000, rows, peers=("slices",), peer_groups=200)
        yield _row(f"2,000 forests, {rows:,} rows: slices / ours", goal, found["slices / ours"])


def groups_do_not_matter(settings: Settings) -> Iterator[Row]:
    """Rows a second at 50,000 groups over rows a second at 100, for stacked families."""
    for family in ("ridge", "scaler_ridge", "logistic"):
        models = {}
        for groups in (100, 50_000):
            work = settings.load(family, groups, 1_000_000)
            models[groups] = (predict.opened(work), work.frame)
        sides = {str(groups): (lambda m=model, f=frame: m.predict(f)) for groups, (model, frame) in models.items()}
        seconds = median_seconds(sides, settings.repeats, settings.clock)  # type: ignore[arg-type]
        yield _row(f"{family}: rows/s at 50,000 groups / at 100", 0.5, seconds["100"] / seconds["50000"])


def not_stacked(settings: Settings) -> Iterator[Row]:
    """Families that are not stacked: all of it over the sum of the children's own predict."""
    for family, rows in (("neighbors", 10_000), ("neighbors", 100_000), ("mixed_pipeline", 10_000)):
        found = settings.batch(family, 100, rows, peers=(), peer_groups=100)
        yield _row(
            f"{family}, {rows:,} rows over 100 groups: ours / own predict", 1.15, found["ours / own"], at_most=True
        )


def one_row(settings: Settings) -> Iterator[Row]:
    """One row in process over the child's own predict on an array."""
    options = argparse.Namespace(repeats=max(5, settings.repeats), clock=settings.clock)
    ridge = predict.one_row(settings.load("ridge", 1000, 1000), options)
    yield _row("one row, Ridge: ours - own predict, us", 100, ridge["ours - own us"], at_most=True)
    forest = predict.one_row(settings.load("forest_100", 50, 1000), options)
    yield _row("one row, forest of 100, records to records: own predict / ours", 60, forest["own / records"])
    yield _row("one row, forest of 100, frame to frame: own predict / ours", 30, forest["own / ours"])


def open_any_number(settings: Settings) -> Iterator[Row]:
    """Opening 50,000 children over opening 50, stacked and not."""
    for family in ("ridge", "neighbors"):
        works = [settings.load(family, groups, 100) for groups in (50, 50_000)]
        found = opening.measure(works, 7, peer=False)[1]
        yield _row(f"opening 50,000 {family} / opening 50", 1.2, found["open / first"], at_most=True)
        yield _row(f"50,000 {family}, open and one row: MB more", 20, found["MB more"], at_most=True)


def log_one_model(settings: Settings) -> Iterator[Row]:
    """5,000 Ridge children trained, logged and registered, against one log_model for each (extrapolated from 40)."""
    with tempfile.TemporaryDirectory() as directory:
        found = training.log(5000, 40, Path(directory))
    yield _row("5,000 Ridge: one log_model each / ours", 50, found["one each / ours"])


def fitting_overhead(settings: Settings) -> Iterator[Row]:
    """What training does for a group beside fitting it, over the fits."""
    with tempfile.TemporaryDirectory() as directory:
        found = training.overhead(2000, settings.repeats, Path(directory))
    yield _row("Ridge, 30 rows x 10: fitting overhead / fits", 1, found["overhead / fits"], at_most=True)


FIGURES: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "ridge-batch": ridge_batch,
    "forest-batch": forest_batch,
    "groups": groups_do_not_matter,
    "not-stacked": not_stacked,
    "one-row": one_row,
    "opening": open_any_number,
    "log": log_one_model,
    "overhead": fitting_overhead,
}


def main() -> None:
    """Measure what was asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all without any")
    parser.add_argument("--list", action="store_true", help="say what there is, and measure nothing")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: on a machine that others use too")
    parser.add_argument("--work", type=Path, default=predict.WORK)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    if options.list:
        print("\n".join(f"{name:14}{figure.__doc__}" for name, figure in FIGURES.items()))
        return
    settings = Settings(options.work, options.repeats, options.clock)
    rows: list[Row] = []
    for name in options.figures or FIGURES:
        print(f"measuring {name}", file=sys.stderr)
        rows += FIGURES[name](settings)
    show(rows, options.json)


if __name__ == "__main__":
    main()
