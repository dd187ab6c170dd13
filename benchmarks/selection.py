"""Do chosen candidates beat every single one on fresh rows, and what does the baseline beside each child cost?

    python benchmarks/selection.py --housing ../shared/data/housing.csv
    python benchmarks/selection.py --cost-only

Fresh rows are split off before training (by hash, or the latest weeks) and seen by nobody; every side is trained on the
same rest. On held-out rows the chosen ones cannot be worse, because these rows have chosen them; fresh rows can say so.
The seeds choose the fresh rows, and make the panel. The cost is that of one group in one process: baselines and their
metrics against the group's whole fit.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
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
Table = tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]


def housing(path: Path, seed: int) -> Table:
    """Districts in cells of 1°, random fresh rows."""
    frame = pd.read_csv(path)
    frame = frame.assign(lat=np.floor(frame["latitude"]).astype(int), lon=np.floor(frame["longitude"]).astype(int))
    fresh = hash_holdout(row_hashes(frame, list(frame), 1000 + seed), SHARE)
    options = {"group_by": ["lat", "lon"], "target": "median_house_value", "split": "kfold:5"}
    return frame[~fresh], frame[fresh], options


def panel(seed: int) -> Table:
    """The synthetic panel of weekly sales, the latest weeks fresh."""
    frame = make_store_sales(broken=False, random_state=seed)
    fresh = frame["week"] > frame["week"].quantile(1 - SHARE)
    options = {
        "group_by": ["country", "store", "product"],
        "target": "units",
        "time_column": "week",
        "split": "rolling:folds=3,horizon=6",
        "season": 52,
    }
    return frame[~fresh], frame[fresh], options


def errors(known: pd.DataFrame, fresh: pd.DataFrame, options: dict[str, Any], candidates: list[str]) -> pd.DataFrame:
    """Mean absolute error of every side: on its held-out rows, and on fresh ones (over the rows that all answer)."""
    options = {**options, "metric": "mae", "min_rows": 20, "n_jobs": 2}
    actual = fresh[options["target"]].to_numpy(dtype=float)
    held, found = {}, {}
    for side, estimator in [*((one, one) for one in candidates), ("chosen", candidates)]:
        result = metamodel.train(known, estimator=estimator, **options)
        held[side] = result.summary["holdout_mae_mean"]
        answers = metamodel.MetaModel(result.bundle_path).predict(fresh)
        found[side] = np.abs(answers["prediction"].to_numpy(dtype=float) - actual)
    return pd.DataFrame({"held out": pd.Series(held), "fresh": pd.DataFrame(found).dropna().mean()})


def compare(table: str, make: Callable[[int], Table], candidates: list[str], seeds: int) -> list[dict[str, Any]]:
    """Set every single candidate beside the chosen ones."""
    found = [errors(*make(seed), candidates) for seed in range(seeds)]
    of_chosen = pd.concat([one / one.loc["chosen"] for one in found], keys=range(seeds))
    rows = []
    for side in found[0].index:
        ratios = of_chosen.xs(side, level=1)
        rows.append(
            {
                "table": table,
                "side": side,
                "seeds": seeds,
                "error/chosen, held out": float(ratios["held out"].mean()),
                "error/chosen, fresh": float(ratios["fresh"].mean()),
                "lowest": float(ratios["fresh"].min()),
                "highest": float(ratios["fresh"].max()),
            }
        )
    return rows


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

    sides = {"group": lambda: fit_group(group, spec), "beside": beside, "fit": lambda: Ridge().fit(x, group.y)}
    whole, part, one_fit = median_seconds(sides, 300, "cpu").values()
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
    parser.add_argument("--candidates", nargs="+", default=CANDIDATES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cost-only", action="store_true")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.cost_only:
        show([cost(rows) for rows in (30, 300, 3000)], given.output)
        return
    rows = compare("panel", panel, given.candidates, given.seeds)
    if given.housing is not None:
        rows += compare("housing", partial(housing, given.housing), given.candidates, given.seeds)
    show(rows, given.output)


if __name__ == "__main__":
    main()
