"""Does shrinkage lower the error on fresh rows, and what does a blended prediction cost?

    python benchmarks/shrinkage.py --housing ../shared/data/housing.csv
    python benchmarks/shrinkage.py --cost-only

Fresh rows are split off before training and seen by nobody; every side is trained on the same rest. The cost is that of
the same rows through the same children, blended with their parents (`equal`: every level has a say) and not.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import median_seconds, show
from selection import housing, panel
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache

# Groups with fewer rows are those that shrinkage is for.
SMALL = 50


def by_root(sizes: Sequence[int]) -> np.ndarray:
    """Give smaller levels a larger share: 1 over the root of the rows."""
    return 1 / np.sqrt(np.asarray(sizes, dtype=float))


SIDES: dict[str, tuple[str | Callable[..., Any] | None, dict[str, Any] | None]] = {
    "none": (None, None),
    "constant 0.1": ("constant", {"alpha": 0.1}),
    "constant 0.3": ("constant", {"alpha": 0.3}),
    "constant 0.5": ("constant", {"alpha": 0.5}),
    "equal": ("equal", None),
    "min_n_obs 20": ("min_n_obs", {"min_n_obs": 20}),
    "min_n_obs 50": ("min_n_obs", {"min_n_obs": 50}),
    "relative": ("relative", None),
    "1/root(rows)": (by_root, None),
}


def compare(
    name: str, known: pd.DataFrame, fresh: pd.DataFrame, options: dict[str, Any], estimator: str
) -> list[dict[str, Any]]:
    """Errors on fresh rows, over the rows that every side answers by a child; and what the ledger had said before."""
    options = {**options, "features": _numbers(known, options), "n_jobs": 1, "stack": False}
    actual = fresh[options["target"]].to_numpy(dtype=float)
    sizes = known.groupby(options["group_by"])[options["target"]].size().rename("rows")
    small = fresh[options["group_by"]].join(sizes, on=options["group_by"])["rows"].to_numpy() < SMALL
    errors, results = {}, {}
    for side, (method, params) in SIDES.items():
        results[side] = metamodel.train(
            known, estimator=estimator, shrinkage=method, shrinkage_params=params, **options
        )
        answers = MetaModel(results[side].bundle_path).predict(fresh)
        errors[side] = np.abs(answers["prediction"].to_numpy(dtype=float) - actual)
    answered = np.all([np.isfinite(error) for error in errors.values()], axis=0)
    return [
        {
            "table": name,
            "estimator": estimator,
            "side": side,
            "fresh rows": int(answered.sum()),
            "mean error": float(error[answered].mean()),
            "of alone": float(error[answered].mean() / errors["none"][answered].mean()),
            "small groups": float(error[answered & small].mean() / errors["none"][answered & small].mean())
            if (answered & small).any()
            else None,
            "holdout said": _holdout(results[side].summary),
        }
        for side, error in errors.items()
    ]


def _numbers(known: pd.DataFrame, options: dict[str, Any]) -> list[str]:
    taken = {*options["group_by"], options["target"], options.get("time_column")}
    return [name for name in known.select_dtypes("number") if name not in taken and known[name].notna().all()]


def _holdout(summary: dict[str, Any]) -> float | None:
    """Mean held-out error, blended over alone, as the training's summary has it."""
    if "blended_mae_mean" not in summary:
        return None
    return float(summary["blended_mae_mean"] / summary["unblended_mae_mean"])


def cost(name: str, estimator: Any, directory: Path, rows: int = 100_000, groups: int = 500) -> dict[str, Any]:
    """Time of blended predictions, three levels deep, over that of the same children alone."""
    rng = np.random.default_rng(0)
    x = [f"x{i}" for i in range(10)]
    store = np.arange(30 * groups) % groups
    table = pd.DataFrame(rng.normal(size=(len(store), 10)), columns=x)
    table = table.assign(country=store % 20, store=store, y=table.sum(axis=1) + rng.normal(size=len(table)))
    models = {}
    for side, shrinkage in (("alone", None), ("blended", "equal")):
        path = directory / f"{name}-{side}"
        options: dict[str, Any] = {"holdout": 0, "shrinkage": shrinkage, "output_dir": path, "n_jobs": 1}
        options["stack"] = name == "ridge, stacked"
        metamodel.train(table, ["country", "store"], "y", estimator, features=x, **options)
        models[side] = MetaModel(path, ByteCache(2**30))
    asked = table.iloc[rng.integers(0, len(table), rows)].reset_index(drop=True)
    times = median_seconds({side: lambda model=model: model.predict(asked) for side, model in models.items()}, 7, "cpu")
    row = table.head(1)
    one = median_seconds({side: lambda model=model: model.predict(row) for side, model in models.items()}, 300, "cpu")
    return {
        "children": name,
        "groups": groups,
        "rows": rows,
        "alone ms": times["alone"] * 1e3,
        "blended over alone": times["blended"] / times["alone"],
        "one row: alone µs": one["alone"] * 1e6,
        "one row: blended over alone": one["blended"] / one["alone"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--housing", type=Path, default=None, help="the CSV file of districts; without it the panel")
    parser.add_argument("--cost-only", action="store_true")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.cost_only:
        with tempfile.TemporaryDirectory(prefix="shrinkage-") as directory:
            families = {
                "ridge, stacked": Ridge(),
                "ridge, not stacked": Ridge(),
                "nearest neighbours": KNeighborsRegressor(),
            }
            found = [cost(name, one, Path(directory)) for name, one in families.items()]
        show(found, given.output)
        return
    tables = {"panel": panel(0)} | ({"housing": housing(given.housing, 0)} if given.housing is not None else {})
    rows = []
    for name, (known, fresh, options) in tables.items():
        for estimator in ("ridge", "decision_tree"):
            rows += compare(name, known, fresh, options, estimator)
    show(rows, given.output)


if __name__ == "__main__":
    main()
