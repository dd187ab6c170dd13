"""Do chosen candidates beat every single one on fresh rows, and what does the baseline beside each child cost?

    python benchmarks/selection.py --housing ../shared/data/housing.csv
    python benchmarks/selection.py --cost-only

Fresh rows are split off before training (by hash, or the latest weeks) and seen by nobody; every side is trained on the
same rest. The cost is that of one group in one process: baselines and their metrics against the group's whole fit.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import median_seconds, show
from sklearn.linear_model import Ridge

import metamodel
from metamodel.baselines import baselines
from metamodel.datasets import make_store_sales
from metamodel.fitting import fit_group
from metamodel.groups import GroupData
from metamodel.spec import Candidate, FitSpec
from metamodel.splitting import folds_of, hash_holdout, row_hashes

CANDIDATES = ["ridge", "hist_gradient_boosting", "nearest_neighbors"]
SHARE = 0.25


def housing(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Districts in cells of 1°, random fresh rows."""
    frame = pd.read_csv(path)
    frame = frame.assign(lat=np.floor(frame["latitude"]).astype(int), lon=np.floor(frame["longitude"]).astype(int))
    fresh = hash_holdout(row_hashes(frame, list(frame), 1), SHARE)
    options = {"group_by": ["lat", "lon"], "target": "median_house_value", "split": "kfold:5"}
    return frame[~fresh], frame[fresh], options


def panel() -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """The synthetic panel of weekly sales, the latest weeks fresh."""
    frame = make_store_sales(broken=False)
    fresh = frame["week"] > frame["week"].quantile(1 - SHARE)
    options = {
        "group_by": ["country", "store", "product"],
        "target": "units",
        "time_column": "week",
        "split": "rolling:folds=3,horizon=6",
        "season": 52,
    }
    return frame[~fresh], frame[fresh], options


def compare(name: str, known: pd.DataFrame, fresh: pd.DataFrame, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Mean absolute error on fresh rows, over the rows that every side answers."""
    options = {**options, "metric": "mae", "min_rows": 20, "n_jobs": 2}
    actual = fresh[options["target"]].to_numpy(dtype=float)
    sides = {one: one for one in CANDIDATES} | {"chosen": CANDIDATES}
    errors, results = {}, {}
    for side, estimator in sides.items():
        results[side] = metamodel.train(known, estimator=estimator, **options)
        answers = metamodel.MetaModel(results[side].bundle_path).predict(fresh)
        errors[side] = np.abs(answers["prediction"].to_numpy(dtype=float) - actual)
    answered = np.all([np.isfinite(error) for error in errors.values()], axis=0)
    means = {side: float(error[answered].mean()) for side, error in errors.items()}
    return [
        {
            "table": name,
            "side": side,
            "fresh rows": int(answered.sum()),
            "mean error": mean,
            "of the chosen": mean / means["chosen"],
            "median skill": results[side].summary["skill_median"],
        }
        for side, mean in means.items()
    ]


def cost(rows: int) -> dict[str, Any]:
    """Time of the baselines of one group against the time of its whole fit."""
    rng = np.random.default_rng(0)
    x = np.asfortranarray(rng.normal(size=(rows, 10)))
    group = GroupData((), x, rng.normal(size=rows), rng.integers(0, 2**63, rows).astype(np.uint64), np.arange(rows))
    spec = FitSpec("regression", (Candidate("ridge", Ridge(), "Ridge", "{}"),), season=4)
    folds = folds_of(group.hashes, group.times, spec.holdout)

    def beside() -> None:
        for _, answers in baselines(group, folds, spec.task, spec.season):
            answers.metrics(spec.task)

    whole, part = (median_seconds(call, 300, "cpu") for call in (lambda: fit_group(group, spec), beside))
    one_fit = median_seconds(lambda: Ridge().fit(x, group.y), 300, "cpu")
    return {
        "rows": rows,
        "group µs": whole * 1e6,
        "one Ridge fit µs": one_fit * 1e6,
        "three baselines µs": part * 1e6,
        "of the fit": part / one_fit,
        "of the group": part / whole,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--housing", type=Path, default=None, help="the CSV file of districts; without it the panel only"
    )
    parser.add_argument("--cost-only", action="store_true")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    show([cost(rows) for rows in (30, 300, 3000)], None)
    if given.cost_only:
        return
    rows = compare("panel", *panel())
    if given.housing is not None:
        rows += compare("housing", *housing(given.housing))
    show(rows, given.output)


if __name__ == "__main__":
    main()
