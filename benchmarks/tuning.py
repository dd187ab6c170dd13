"""Does a tuned run beat the untuned one, and is a budget of time kept?

    python benchmarks/tuning.py --housing ../shared/data/housing.csv
    python benchmarks/tuning.py --budget 60 --estimators xgboost

Both sides are trained on the same table with the same seed and judged on the same held-out rows, which the search
never sees. The error of a side is the mean over its groups of the RMSE on these rows. The panel is the built-in sample
with its time column: the latest fifth of the weeks is held out.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

import metamodel
from metamodel.datasets import make_store_sales

FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]


def panel(stores: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The built-in sample, weekly sales by store and product."""
    options = {"group_by": ["store", "product"], "target": "units", "features": FEATURES, "time_column": "week"}
    return make_store_sales(n_stores=stores, broken=False), options


def housing(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Districts in cells of 1°, random rows held out."""
    frame = pd.read_csv(path)
    frame = frame.assign(lat=np.floor(frame["latitude"]).astype(int), lon=np.floor(frame["longitude"]).astype(int))
    return frame, {"group_by": ["lat", "lon"], "target": "median_house_value"}


def compare(table: str, frame: pd.DataFrame, options: dict[str, Any], estimator: str, trials: int) -> dict[str, Any]:
    """Train both sides."""
    options = {**options, "estimator": estimator, "min_rows": 20, "n_jobs": 2}
    seconds, sides = [], []
    for tune in (None, "auto"):
        started = time.perf_counter()
        sides.append(metamodel.train(frame, tune=tune, trials=trials, **options))
        seconds.append(time.perf_counter() - started)
    untuned, tuned = (side.summary["holdout_rmse_mean"] for side in sides)
    both = [side.ledger["holdout_rmse"] for side in sides]
    return {
        "table": table,
        "estimator": estimator,
        "groups": sides[0].summary["groups_fitted"],
        "untuned": untuned,
        "tuned": tuned,
        "tuned/untuned": tuned / untuned,
        "better, of groups": float((both[1] < both[0]).mean()),
        "worse, of groups": float((both[1] > both[0]).mean()),
        "untuned s": seconds[0],
        "tuned s": seconds[1],
    }


def keep(budget: float, frame: pd.DataFrame, options: dict[str, Any], estimator: str) -> dict[str, Any]:
    """Search until the budget is over, parents first."""
    options = {**options, "estimator": estimator, "unknown": "fallback", "n_jobs": 2}
    started = time.perf_counter()
    result = metamodel.train(frame, tune="auto", trials=10**6, patience=0, budget_seconds=budget, **options)
    seconds = time.perf_counter() - started
    return {
        "estimator": estimator,
        "groups": len(result.tuning),
        "budget s": budget,
        "seconds": seconds,
        "of the budget": seconds / budget,
        "trials": int(result.tuning["trials"].sum()),
        "groups without time": int((result.tuning["reason"] == "no time left").sum()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--housing", type=Path, default=None, help="the CSV file of districts; without it the panel only"
    )
    parser.add_argument("--estimators", nargs="+", default=["ridge", "decision_tree", "xgboost"])
    parser.add_argument("--stores", type=int, default=20, help="stores of the panel, five products each")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument(
        "--budget", type=float, default=None, help="only keep a budget of so many seconds, on the panel"
    )
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.budget is not None:
        show([keep(given.budget, *panel(given.stores), one) for one in given.estimators], given.output)
        return
    tables = {"panel": panel(given.stores)}
    if given.housing is not None:
        tables["housing"] = housing(given.housing)
    show(
        [compare(name, *table, one, given.trials) for name, table in tables.items() for one in given.estimators],
        given.output,
    )


if __name__ == "__main__":
    main()
