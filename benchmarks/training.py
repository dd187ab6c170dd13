"""What training many small models costs: against one `log_model` for each, and against the fits alone.

    python benchmarks/training.py log --groups 5000 --logged 40
    python benchmarks/training.py overhead --groups 2000
    python benchmarks/training.py stacking --groups 200

`log`: 5,000 Ridge children of 30 rows × 10 features, trained, logged to a real `mlflow server` on this machine and
registered as one version, against one fit and one `mlflow.sklearn.log_model` (pip requirements given) for each. The
peer is measured on `--logged` children and scaled by their number. That flatters it: its children are not registered,
only fitted once and not judged on a holdout, and each further model makes MLflow's requests about the run longer.

`overhead`: all that training does for a group beside fitting it (slicing, cloning, metrics, serializing, writing; the
whole table's share included), over the same fits alone, in one process; and the same with stacks, which load and ask
every child once more.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import median_seconds, show
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from workloads import KEY, NUMBERS, training_table

import metamodel
from metamodel.training.build_stacks import stack_bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from servers import tracking_server  # the tests' real servers, on free ports of 127.0.0.1

TRAIN_ROWS = 30


def log(groups: int, logged: int, directory: Path) -> dict[str, Any]:
    """One meta-model against one logged model for each group, on one tracking server."""
    import mlflow

    table = training_table("ridge", groups, TRAIN_ROWS)
    with tracking_server(directory, workers=4) as server:
        mlflow.set_tracking_uri(server.url)
        mlflow.set_experiment("benchmark")
        log_each(table, 2, "warm-up")  # imports, connections, the experiment
        started = time.perf_counter()
        result = metamodel.train(table, KEY, "y", "ridge", output_dir=directory / "bundle")
        trained = time.perf_counter()
        metamodel.log_model(result, registered_model_name="benchmark")
        done = time.perf_counter()
        log_each(table, logged, "one each")
        each = (time.perf_counter() - done) / logged
    ours = done - started
    row = {"groups": groups, "train s": trained - started, "log and register s": done - trained}
    row |= {"one log_model s": each, "logged": logged, "extrapolated s": each * groups}
    return {**row, "one each / ours": each * groups / ours}


def log_each(table: pd.DataFrame, groups: int, run_name: str) -> None:
    """Fit and log a model for each of the first groups, the way a loop over groups does it."""
    import mlflow

    with mlflow.start_run(run_name=run_name):
        for number, (_, rows) in enumerate(table.iloc[: groups * TRAIN_ROWS].groupby(KEY)):
            child = Ridge().fit(rows[NUMBERS], rows["y"])
            mlflow.sklearn.log_model(child, name=f"model-{number}", pip_requirements=["scikit-learn"])


def overhead(groups: int, repeats: int, directory: Path) -> dict[str, Any]:
    """A whole training in one process, against its fits alone."""
    table = training_table("ridge", groups, TRAIN_ROWS)
    fits = _fits(table)
    sides = {
        "train": lambda: metamodel.train(table, KEY, "y", "ridge", n_jobs=1, stack=False, output_dir=directory / "one"),
        "stacked": lambda: metamodel.train(table, KEY, "y", "ridge", n_jobs=1, output_dir=directory / "two"),
        "fits": lambda: [Ridge().fit(x, y) for x, y in fits],
    }
    seconds = median_seconds(sides, repeats)
    row = {"groups": groups, "train us/group": seconds["train"] / groups * 1e6}
    row |= {"two fits us/group": seconds["fits"] / groups * 1e6}
    row |= {"with stacks us/group": seconds["stacked"] / groups * 1e6}
    over = {name: seconds[name] / seconds["fits"] - 1 for name in ("train", "stacked")}
    return {**row, "overhead / fits": over["train"], "with stacks / fits": over["stacked"]}


def stacking(groups: int, repeats: int, directory: Path) -> list[dict[str, Any]]:
    """Share of stacking in a whole training, by family."""
    metamodel.train(training_table("ridge", 8, TRAIN_ROWS), KEY, "y", "ridge", output_dir=directory / "warm-up")
    rows = []
    for family, make in _stacked_families().items():
        plain, packed = directory / f"{family}", directory / f"{family}-packed"
        sides = _stacking_sides(training_table(family, groups, TRAIN_ROWS), make, plain, packed)
        seconds = median_seconds(sides, repeats)
        row = {"family": family, "groups": groups, "train ms/group": seconds["train"] / groups * 1e3}
        row |= {"stack ms/group": seconds["stack"] / groups * 1e3}
        rows.append({**row, "stack / whole": seconds["stack"] / sum(seconds.values())})
    return rows


def _stacking_sides(
    table: pd.DataFrame, make: Callable[[], Any], plain: Path, packed: Path
) -> dict[str, Callable[[], Any]]:
    return {
        "train": lambda: metamodel.train(table, KEY, "y", make(), stack=False, output_dir=plain),
        "stack": lambda: stack_bundle(plain, table, packed),
    }


def _stacked_families() -> dict[str, Callable[[], Any]]:
    from xgboost import XGBRegressor

    return {
        "Ridge": Ridge,
        "random forest": lambda: RandomForestRegressor(n_jobs=1),
        "histogram boosting": lambda: HistGradientBoostingRegressor(min_samples_leaf=3),
        "scaler + XGBoost": lambda: make_pipeline(StandardScaler(), XGBRegressor(n_jobs=1)),
    }


def _fits(table: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs of every fit of the training, ready to be fitted: four fifths of a group's rows, then all of them."""
    x, y = table[NUMBERS].to_numpy(), table["y"].to_numpy()
    starts = range(0, len(x), TRAIN_ROWS)
    parts = [slice(start, start + rows) for start in starts for rows in (TRAIN_ROWS * 4 // 5, TRAIN_ROWS)]
    return [(np.asfortranarray(x[part]), y[part]) for part in parts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["log", "overhead", "stacking"])
    parser.add_argument("--groups", type=int, default=None, help="5000 for log, 2000 for overhead, 200 for stacking")
    parser.add_argument("--logged", type=int, default=40, help="models that the peer logs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.what == "log":
            rows = [log(options.groups or 5000, options.logged, Path(directory))]
        elif options.what == "overhead":
            rows = [overhead(options.groups or 2000, options.repeats, Path(directory))]
        else:
            rows = stacking(options.groups or 200, options.repeats, Path(directory))
    show(rows, options.json)


if __name__ == "__main__":
    main()
