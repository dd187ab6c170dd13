"""Does a tuned run beat the untuned one, and is a budget of time kept?

    python benchmarks/tuning.py --housing ../shared/data/housing.csv
    python benchmarks/tuning.py --budget 60 --estimators xgboost
    python benchmarks/tuning.py --budget 60 --estimators decision_tree --engine spark

Both sides are trained on the same table with the same seed and judged on the same held-out rows, which the search
never sees. The error of a side is the mean over its groups of the RMSE on these rows. One holdout of small groups says
little, so all of it is done for several seeds, which choose the held-out rows, and make the panel: the built-in sample
with its time column, of which the latest fifth of the weeks is held out. `grouped Friedman` is a table that the search
was not developed on: 60 groups of 30 to 400 rows of scikit-learn's `make_friedman1`.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show
from sklearn.datasets import make_friedman1

import metamodel
from metamodel.datasets import make_store_sales

Table = tuple[pd.DataFrame, dict[str, Any]]
FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]


def panel(stores: int, seed: int) -> Table:
    """The built-in sample, weekly sales by store and product."""
    options = {"group_by": ["store", "product"], "target": "units", "features": FEATURES, "time_column": "week"}
    return make_store_sales(n_stores=stores, broken=False, random_state=seed), options


def housing(path: Path) -> Table:
    """Districts in cells of 1°, random rows held out."""
    frame = pd.read_csv(path)
    frame = frame.assign(lat=np.floor(frame["latitude"]).astype(int), lon=np.floor(frame["longitude"]).astype(int))
    return frame, {"group_by": ["lat", "lon"], "target": "median_house_value"}


def friedman(seed: int) -> Table:
    """Groups of one shape, with sizes, scales and noise of their own; random rows held out."""
    rng = np.random.default_rng(seed)
    parts = []
    for group in range(60):
        rows, noise, scale = int(np.exp(rng.uniform(np.log(30), np.log(400)))), rng.uniform(0.5, 3), rng.uniform(0.5, 2)
        x, y = make_friedman1(rows, n_features=8, noise=noise, random_state=int(rng.integers(2**31)))
        parts.append(pd.DataFrame(x).add_prefix("x").assign(group=group, y=scale * y))
    return pd.concat(parts, ignore_index=True), {"group_by": "group", "target": "y"}


def compare(table: str, make: Callable[[int], Table], estimator: str, trials: int, seeds: int) -> dict[str, Any]:
    """Train both sides for every seed."""
    ratios, seconds, better, worse = [], [], [], []
    for seed in range(seeds):
        frame, options = make(seed)
        options = {**options, "estimator": estimator, "min_rows": 20, "n_jobs": 2, "random_state": seed}
        sides = []
        for tune in (None, "auto"):
            started = time.perf_counter()
            sides.append(metamodel.train(frame, tune=tune, trials=trials, **options).ledger)
            seconds.append(time.perf_counter() - started)
        untuned, tuned = (side["holdout_rmse"] for side in sides)
        ratios.append(tuned.mean() / untuned.mean())
        better.append((tuned < untuned).mean())
        worse.append((tuned > untuned).mean())
    return {
        "table": table,
        "estimator": estimator,
        "groups": int(untuned.notna().sum()),
        "seeds": seeds,
        "tuned/untuned": float(np.mean(ratios)),
        "best seed": min(ratios),
        "worst seed": max(ratios),
        "better, of groups": float(np.mean(better)),
        "worse, of groups": float(np.mean(worse)),
        "untuned s": sum(seconds[::2]),
        "tuned s": sum(seconds[1::2]),
    }


def keep(budget: float, table: Table, estimator: str, engine: str) -> dict[str, Any]:
    """Search until the budget is over, parents first."""
    frame, options = table
    options = {**options, "estimator": estimator, "unknown": "fallback", "n_jobs": 2, "engine": engine}
    data: Any = frame
    if engine == "spark":
        from pyspark.sql import SparkSession

        data = SparkSession.builder.master("local[2]").getOrCreate().createDataFrame(frame)
    started = time.perf_counter()
    result = metamodel.train(data, tune="auto", trials=10**6, patience=0, budget_seconds=budget, **options)
    seconds = time.perf_counter() - started
    return {
        "engine": engine,
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
    parser.add_argument("--tables", nargs="+", default=["panel", "housing", "grouped Friedman"])
    parser.add_argument("--estimators", nargs="+", default=["ridge", "decision_tree"])
    parser.add_argument("--stores", type=int, default=20, help="stores of the panel, five products each")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--budget", type=float, default=None, help="only keep a budget of so many seconds, on the panel"
    )
    parser.add_argument("--engine", choices=["local", "spark"], default="local", help="with --budget")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.budget is not None:
        table = panel(given.stores, 0)
        show([keep(given.budget, table, one, given.engine) for one in given.estimators], given.output)
        return
    tables: dict[str, Callable[[int], Table]] = {
        "panel": partial(panel, given.stores),
        "grouped Friedman": friedman,
    }
    if given.housing is not None:
        tables["housing"] = lambda seed: housing(given.housing)
    rows = [
        compare(name, tables[name], one, given.trials, given.seeds)
        for name in given.tables
        for one in given.estimators
        if name in tables
    ]
    show(rows, given.output)


if __name__ == "__main__":
    main()
