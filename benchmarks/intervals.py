"""Do intervals cover what they promise on fresh rows, and whose residuals should a small group borrow?

    python benchmarks/intervals.py --housing ../shared/data/housing.csv
    python benchmarks/intervals.py --latency

Fresh rows are split off before training and seen by nobody: a random quarter of the districts, and the half year behind
the built-in panel. `ledger` is the coverage that the training itself reports. The last columns are about
the groups that borrow: their coverage, and what both would be if they took the residuals of their parent's own
predictions instead of those of all children under it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import median_seconds, show
from selection import housing

import metamodel
from metamodel.datasets import make_store_sales
from metamodel.evaluation.holdout import level_column
from metamodel.tables.keys import decode_key

FRESH_WEEKS = 26


def panel(weeks: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """The built-in panel of weekly sales, and the half year behind it."""
    frame = make_store_sales(n_weeks=weeks + FRESH_WEEKS, broken=False, random_state=seed)
    first = frame["week"].drop_duplicates().sort_values().iloc[weeks]
    fresh = frame["week"] >= first
    options = {"group_by": ["country", "store", "product"], "target": "units", "time_column": "week"}
    return frame[~fresh], frame[fresh], options


def covered(
    table: str, known: pd.DataFrame, fresh: pd.DataFrame, options: dict[str, Any], estimator: str, level: float
) -> dict[str, Any]:
    """Train with intervals, and count the fresh rows of groups with a child that lie inside."""
    given = {**options, "n_jobs": 2, "unknown": "fallback", "stack": False}
    result = metamodel.train(known, estimator=estimator, interval=level, **given)
    answers = metamodel.MetaModel(result.bundle_path).predict(fresh, {"detail": True})
    target = options["target"]
    fresh = pd.concat([fresh.reset_index(drop=True), answers.reset_index(drop=True)[["lower", "upper"]]], axis=1)
    fresh = fresh.assign(key=answers["key"].to_numpy(), half=((answers["upper"] - answers["lower"]) / 2).to_numpy())
    fresh = fresh[(answers["status"] == "child").to_numpy() & fresh["half"].notna()]
    error = (fresh[target] - (fresh["upper"] + fresh["lower"]) / 2).abs().to_numpy()
    inside = fresh[target].between(fresh["lower"], fresh["upper"]).to_numpy()
    radius, borrowed = _of_parents(result, fresh["key"])
    own = fresh["half"].to_numpy()
    return {
        "table": table,
        "split": options.get("split", "holdout"),
        "estimator": estimator,
        "fresh rows": len(fresh),
        "covered": float(inside.mean()),
        "ledger": result.summary["interval_coverage"],
        "groups own": result.summary["groups_with_own_interval"],
        "borrow": result.summary["groups_borrowing_interval"],
        "borrow: rows": int(borrowed.sum()),
        "covered ": _mean(inside[borrowed]),
        "by parents": _mean((error <= radius)[borrowed]),
        "parents' width / ours": _mean(radius[borrowed]) / _mean(own[borrowed]),
    }


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _of_parents(result: metamodel.TrainingResult, keys: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Radius of the parent that each row's group borrows from, by the parent's own predictions; and who borrows."""
    held, level = result.holdout, result.manifest.options["interval"]
    depth = len(result.manifest.keys.columns)
    radii: dict[str, float] = {}
    ledger = result.ledger[result.ledger["level"] == depth]
    names = result.manifest.keys.names
    used = {tuple(row[:-1]): row[-1] for row in ledger[[*names, "interval_level"]].itertuples(index=False, name=None)}
    of_row = [decode_key(key) for key in held["key"].astype(str)]
    for encoded in keys.unique():
        key = decode_key(encoded)
        shared = used.get(key, depth)
        if pd.isna(shared) or shared == depth:
            continue
        same = np.array([other[:shared] == key[:shared] for other in of_row])
        residuals = np.sort((held[level_column(int(shared))] - held["actual"]).abs()[same].dropna())
        radii[encoded] = float(residuals[min(len(residuals), int(np.ceil((len(residuals) + 1) * level))) - 1])
    return keys.map(radii).to_numpy(dtype=float), keys.isin(list(radii)).to_numpy()


def latency(repeats: int = 400) -> dict[str, Any]:
    """What an interval costs one row, and a batch over all groups."""
    known, _, options = panel(104)
    models = {
        name: metamodel.MetaModel(metamodel.train(known, n_jobs=1, interval=level, **options).bundle_path)
        for name, level in (("without", None), ("with", 0.9))
    }
    row, batch = known.head(1), pd.concat([known] * 10)
    one = median_seconds({name: lambda m=model: m.predict(row) for name, model in models.items()}, repeats, "cpu")
    many = median_seconds({name: lambda m=model: m.predict(batch) for name, model in models.items()}, 15, "cpu")
    return {
        "one row, us without": one["without"] * 1e6,
        "with": one["with"] * 1e6,
        "rows": len(batch),
        "batch, ms without": many["without"] * 1e3,
        "with ": many["with"] * 1e3,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--housing", type=Path, default=None, help="the CSV file of districts; without it the panel only"
    )
    parser.add_argument(
        "--estimators", nargs="+", default=["ridge", "decision_tree", "ridge,decision_tree,nearest_neighbors"]
    )
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--seeds", type=int, default=1, help="draw the panel so many times")
    parser.add_argument("--latency", action="store_true", help="only measure what intervals cost")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.latency:
        show([latency()], given.output)
        return
    cases = []
    for seed in range(given.seeds):
        # Of 78 weeks a group holds back 16 rows, too few for a radius of its own.
        for weeks, split in ((104, "holdout"), (104, "rolling:folds=5,horizon=8"), (78, "holdout")):
            known, fresh, options = panel(weeks, seed)
            cases.append((f"panel {seed}, {weeks} weeks", known, fresh, {**options, "split": split}))
    if given.housing is not None:
        known, fresh, options = housing(given.housing, 0)
        cases += [("housing", known, fresh, {**options, "split": split}) for split in ("holdout", "kfold:5")]
    rows = [covered(*case, estimator, given.level) for case in cases for estimator in given.estimators]
    show(rows, given.output)


if __name__ == "__main__":
    main()
