"""Do chosen candidates beat every single one on fresh rows, and what does the baseline beside each child cost?

    python benchmarks/selection.py --housing ../shared/data/housing.csv
    python benchmarks/selection.py --cost-only

Fresh rows are split off before training (by hash, or the latest weeks) and seen by nobody; every side is trained on the
same rest. "own best" is what would be chosen by each group's own held-out rows alone: it is best on these rows because
they have chosen it, and only fresh rows can tell. The seeds choose the fresh rows, and make the panel and the mixed
table. The cost is that of one group in one process: baselines and their metrics against the group's whole fit.
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
from metamodel.datasets import make_store_sales
from metamodel.evaluation.splits import folds_of, hash_holdout
from metamodel.fitting.baselines import baselines
from metamodel.fitting.fit import fit_group
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.tables.row_hashes import row_hashes

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


def mixed(seed: int) -> Table:
    """Groups of which each candidate suits some: straight lines, steps, and nothing but noise, in 30 to 200 rows."""
    rng = np.random.default_rng(seed)
    parts = []
    for group in range(90):
        rows = int(np.exp(rng.uniform(np.log(30), np.log(200))))
        x = rng.normal(size=(rows + 200, 5))
        line, step = x @ rng.normal(size=5), 3.0 * np.where(x[:, 0] > 0, 1.0, -1.0) * np.where(x[:, 1] > 0.3, 1.0, 0.2)
        y = ((line, step, np.zeros(len(x)))[group % 3] + rng.normal(size=len(x))) * np.exp(rng.normal())
        columns = {f"x{i}": values for i, values in enumerate(x.T)}
        parts.append(pd.DataFrame({"group": group, **columns, "y": y, "fresh": np.arange(len(x)) >= rows}))
    frame = pd.concat(parts, ignore_index=True)
    fresh = frame.pop("fresh").to_numpy()
    return frame[~fresh], frame[fresh], {"group_by": ["group"], "target": "y"}


def errors(known: pd.DataFrame, fresh: pd.DataFrame, options: dict[str, Any], candidates: list[str]) -> pd.DataFrame:
    """Mean absolute error of every side: on its held-out rows, and on fresh ones (over the rows that all answer)."""
    options = {**options, "metric": "mae", "min_rows": 20, "n_jobs": 2}
    actual = fresh[options["target"]].to_numpy(dtype=float)
    held, found, ledgers = {}, {}, {}
    for side, estimator in [*((one, one) for one in candidates), ("chosen", candidates)]:
        result = metamodel.train(known, estimator=estimator, **options)
        ledgers[side] = result.ledger[result.ledger["status"] == "fitted"].set_index(options["group_by"])
        answers = metamodel.MetaModel(result.bundle_path).predict(fresh)
        found[side] = np.abs(answers["prediction"].to_numpy(dtype=float) - actual)
        held[side] = result.summary["holdout_mae_mean"]
    own = ledgers["chosen"]["own_best"]
    held["own best"] = np.mean([ledgers[name]["holdout_mae"][key] for key, name in own.items()])
    keys = pd.MultiIndex.from_frame(fresh[options["group_by"]]) if own.index.nlevels > 1 else fresh[own.index.name]
    names = own.reindex(keys).to_numpy()
    found["own best"] = np.select([names == one for one in candidates], [found[one] for one in candidates], np.nan)
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
    rows += compare("mixed", mixed, given.candidates, given.seeds)
    if given.housing is not None:
        rows += compare("housing", partial(housing, given.housing), given.candidates, given.seeds)
    show(rows, given.output)


if __name__ == "__main__":
    main()
