"""Errors that change where no feature does, and labels that come three windows late, in any order, not for every row.

    python benchmarks/late_labels.py                     # 6,000 groups, 30 labels a window, on average
    python benchmarks/late_labels.py --rows 30 --min-rows 40

The whole way, with `metamodel.train` and `metamodel.monitor` on rows: each group has a linear law of its own, 104 rows
to train on (all of them held out once, in five folds), and 38 rows a window, of which 30 will be known. From window 1
on the law of 2 % of the groups is another one: the level moves by one standard deviation of the noise, or a slope
turns. Each window is judged without its own labels; with it come, shuffled, those of the window `--late` before, of
which 20 % are never known. Nobody retrains anything. A group counts as listed if it is among the most suspicious 5 % in
the first window with labels, or in the second.
"""

import argparse
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

import metamodel

TRAINED, CHANGED, KNOWN = 104, 0.02, 0.8

FEATURES = ["a", "b", "c"]

BIAS, SLOPE = "bias of 1 sd", "slope turned"


class Shops:
    """Groups with a law each, of which some get another one."""

    def __init__(self, groups: int, seed: int) -> None:
        self.rng = np.random.default_rng((seed, groups))
        self.changed = self.rng.random(groups) < CHANGED
        self.slopes, self.levels = self.rng.normal(1, 1, (groups, len(FEATURES))), np.zeros(groups)

    def change(self, what: str) -> None:
        """From now on the law of the groups that change is another one."""
        self.levels[self.changed] = 1.0 if what == BIAS else 0.0
        self.slopes[self.changed, 0] += 0.0 if what == BIAS else 2.0

    def rows(self, window: int, rows: int) -> pd.DataFrame:
        """Rows of one week, in no order."""
        shop = np.repeat(np.arange(len(self.changed)), rows)
        x = self.rng.normal(size=(len(shop), len(FEATURES)))
        y = (x * self.slopes[shop]).sum(axis=1) + self.levels[shop] + self.rng.normal(size=len(shop))
        week = pd.Timestamp("2026-01-05") + pd.Timedelta(days=7 * window)
        ids = window * 10**9 + np.arange(len(shop))
        columns = dict(zip(FEATURES, x.T, strict=True))
        table = pd.DataFrame({"row_id": ids, "shop": shop, "week": week, **columns, "y": y})
        return table.sample(frac=1, random_state=self.rng, ignore_index=True)


def judged(
    model: metamodel.MetaModel, shops: Shops, change: str, args: argparse.Namespace, state: Path
) -> Iterator[dict[str, Any]]:
    """Judge windows until labels of two of them have come."""
    kept: dict[int, pd.DataFrame] = {}
    listed = np.zeros(args.groups, dtype=bool)
    for window in range(1, args.late + 3):
        rows = shops.rows(window, args.rows)
        kept[window] = rows.loc[shops.rng.random(len(rows)) < KNOWN, ["row_id", "y"]]
        labels = kept.pop(window - args.late, None)
        if labels is not None:
            labels = labels.sample(frac=1, random_state=shops.rng)
        found = metamodel.monitor(
            model, rows.drop(columns="y"), labels, output=state, budget=0.05, min_rows=args.min_rows
        )
        changed = shops.changed[_shops(found.groups["key"])]
        alarms = found.groups["status"].str.contains("performance").to_numpy()
        suspicious = found.retrain["reasons"].str.contains("suspicious")
        listed[_shops(found.retrain.loc[suspicious, "key"])] = True
        yield {
            "change": change,
            "window": window,
            "with labels of": None if labels is None else window - args.late,
            "power": (alarms & changed).sum() / changed.sum(),
            "false discoveries": f"{int((alarms & ~changed).sum())} of {int(alarms.sum())}",
            "groups that drift": int((found.groups["status"] == "drift").sum()),
            "listed so far": f"{listed.mean():.1%}",
            "the lists recall": float(listed[shops.changed].mean()),
        }


def _shops(keys: pd.Series) -> np.ndarray:
    return keys.str.strip("[]").astype(int).to_numpy()


def run(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Train once, and let the laws change in each way."""
    table = Shops(args.groups, args.seed).rows(0, TRAINED)
    trained = metamodel.train(
        table, "shop", "y", "ridge", features=FEATURES, split="kfold:5", n_jobs=1, output_dir=folder / "model"
    )
    for change in (BIAS, SLOPE):
        shops = Shops(args.groups, args.seed)  # the laws of the training once more, and other rows
        shops.rng = np.random.default_rng((args.seed, args.groups, len(change)))
        shops.change(change)
        yield from judged(metamodel.MetaModel(trained.bundle_path), shops, change, args, folder / change)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=lambda text: int(float(text)), default=6_000)
    parser.add_argument("--rows", type=int, default=38, help="rows of a group and window, of which 80 %% get a label")
    parser.add_argument("--late", type=int, default=3, help="windows that labels are late")
    parser.add_argument("--min-rows", type=int, default=20, help="with fewer labels those of windows before count too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        show(list(run(given, Path(directory))), given.json)


if __name__ == "__main__":
    main()
