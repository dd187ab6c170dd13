"""What Spark costs on local[2]: training against this machine's engine, scoring against a UDF that does nothing.

    python benchmarks/spark.py train --groups 20000
    python benchmarks/spark.py score --groups 20000 --rows 1000000
    python benchmarks/spark.py passes --sizes 30 300 3000 --rows 300000
    python benchmarks/spark.py sizing --groups 4000 --cores 32

Both sides of every comparison are measured in the same run, after the session has started and its Python workers have
imported scikit-learn. Absolute times depend on the machine; read the ratios.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS, FEATURES = 30, 10
GROUP_SCHEMA = "number long, ledger string, holdout binary, importance binary, reason string, child binary"
COLUMNS = [f"x{i}" for i in range(FEATURES)]


def session(folder: Path, daemon: str = "pyspark.daemon") -> Any:
    """Start local[2]; the module that forks its Python workers may lie in the folder."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "2g")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.python.daemon.module", daemon)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def warm(folder: Path) -> None:
    """Train and score a small table, so that what a worker process imports is not charged to the first measurement."""
    import metamodel

    path = folder / "warm.parquet"
    panel(40, ROWS).to_parquet(path, index=False)
    for _ in range(2):
        result = metamodel.train(str(path), "store", "sales", engine="spark")
        metamodel.train(str(path), "store", "sales")
    metamodel.score(str(path), result.bundle_path, engine="spark").write.format("noop").mode("overwrite").save()


def panel(groups: int, rows: int) -> pd.DataFrame:
    """Make a table of `groups` integer keys, in no order of groups."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(groups * rows, FEATURES)), columns=COLUMNS)
    frame["store"] = np.tile(np.arange(groups), rows)
    frame["sales"] = frame[COLUMNS].sum(axis=1) + rng.normal(size=len(frame))
    return frame


def seconds(work: Callable[[], Any]) -> float:
    """Time one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def train(folder: Path, options: argparse.Namespace) -> None:
    """Compare the engines on many small groups."""
    import metamodel

    path = str(folder / "panel.parquet")
    panel(options.groups, ROWS).to_parquet(path, index=False)
    times: dict[str, list[float]] = {"local": [], "spark": []}
    for _ in range(options.repeats):
        for engine, found in times.items():
            found.append(seconds(lambda engine=engine: metamodel.train(path, "store", "sales", engine=engine)))  # type: ignore[misc]
    local, spark = (statistics.median(found) for found in times.values())
    print(f"{options.groups:,} Ridge groups of {ROWS} rows, median of {options.repeats}:")
    print(f"local {local:.1f} s, spark {spark:.1f} s, ratio {spark / local:.2f} (at most 1.5)")


def score(folder: Path, options: argparse.Namespace) -> None:
    """Compare scoring with a `spark_udf` that returns zeros."""
    import mlflow
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F  # noqa: N812

    import metamodel

    path = str(folder / "panel.parquet")
    panel(options.groups, ROWS).to_parquet(path, index=False)
    bundle = metamodel.train(path, "store", "sales").bundle_path
    panel(options.groups, options.rows // options.groups).drop(columns="sales").to_parquet(path, index=False)
    spark = SparkSession.active()
    table = spark.read.parquet(path)
    zeros = mlflow.pyfunc.spark_udf(spark, zero_model(folder, table.limit(5).toPandas()), env_manager="local")
    work = {
        "zeros": lambda: table.withColumn("prediction", zeros(F.struct(*table.columns))),
        "score": lambda: metamodel.score(table, bundle, engine="spark"),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(options.repeats + 1):
        for name, frame in work.items():
            times[name].append(seconds(lambda f=frame: f().write.format("noop").mode("overwrite").save()))  # type: ignore[misc]
    zero, ours = (statistics.median(found[1:]) for found in times.values())  # the first of each starts its workers
    rows = table.count()
    print(f"{rows:,} rows over {options.groups:,} Ridge groups, median of {options.repeats}:")
    print(f"zeros {rows / zero:,.0f} rows/s, score {rows / ours:,.0f} rows/s, ratio {zero / ours:.2f} (at least 0.8)")


def zero_model(folder: Path, example: pd.DataFrame) -> str:
    """Save a model that answers zero to everything."""
    import mlflow
    from mlflow.models import infer_signature
    from mlflow.pyfunc import PythonModel

    class Zeros(PythonModel):
        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
            return np.zeros(len(model_input))

    path = str(folder / "zeros")
    declared = infer_signature(example, np.zeros(len(example)))
    mlflow.pyfunc.save_model(path, python_model=Zeros(), signature=declared, pip_requirements=[])
    return path


def passes(folder: Path, options: argparse.Namespace) -> None:
    """Compare one pass over sorted groups with a call per group, `applyInPandas`; shuffle, fits and results of both."""
    from pyspark.sql import SparkSession

    from metamodel.training.engines.job import Job
    from metamodel.training.engines.phases import Phase
    from metamodel.training.engines.spark.engine import SparkEngine, partition_trainer
    from metamodel.training.engines.spark.placement import Placement
    from metamodel.training.engines.spark.shuffle import rows_by_group
    from metamodel.training.engines.spark.worker import RESULT_SCHEMA
    from metamodel.training.options import TrainingOptions

    spark = SparkSession.active()
    choices = TrainingOptions.create("store", target="sales", engine="spark")
    print("rows a group  groups  one pass s  applyInPandas s  ratio")
    for size in options.sizes:
        path = str(folder / f"panel-{size}.parquet")
        panel(options.rows // size, size).to_parquet(path, index=False)
        plan = SparkEngine(path, choices, "ridge", None, None).plan
        placement = Placement.of(Phase(plan.sizes, {}, math.inf), parallelism=2)
        trainer = partition_trainer(Job(plan, folder), placement)
        work = {
            "one": rows_by_group(plan, placement).mapInArrow(trainer.train, RESULT_SCHEMA),
            "each": spark.read.parquet(path).groupBy("store").applyInPandas(one_group(trainer), GROUP_SCHEMA),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(options.repeats):
            for name, frame in work.items():
                times[name].append(seconds(frame.collect))
        one, each = (statistics.median(found) for found in times.values())
        print(f"{size:>12,}  {options.rows // size:>6,}  {one:>10.1f}  {each:>15.1f}  {each / one:>5.2f}")


def one_group(trainer: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Make the function that `applyInPandas` calls: the same fit on one group's frame."""

    def fit(frame: pd.DataFrame) -> pd.DataFrame:
        import json

        from metamodel.bundle.diagnostics import EvidenceBuilder
        from metamodel.training.engines.group_fitter import GroupFitter

        rows = trainer.rows(frame)
        group = rows.group((int(frame["store"].iloc[0]),), 0, len(frame))
        done = GroupFitter(trainer.spec, trainer.codec, 1.0).fit(group, rows.fingerprint(slice(None)))
        evidence = EvidenceBuilder()
        evidence.add(0, done.holdout, done.importance)
        row = [0, json.dumps(done.ledger.to_dict()), *evidence.finish().to_bytes(), done.row.reason, done.row.child]
        return pd.DataFrame([row], columns=["number", "ledger", "holdout", "importance", "reason", "child"])

    return fit


def sizing(folder: Path, options: argparse.Namespace) -> None:
    """Compute how long 50,000 groups take, from what a group and a row cost here."""
    import metamodel

    def run(groups: int, rows: int) -> float:
        path = str(folder / "panel.parquet")
        panel(groups, rows).to_parquet(path, index=False)
        runs = [seconds(lambda: metamodel.train(path, "store", "sales", estimator, engine="spark")) for _ in range(2)]
        return min(runs)

    print("estimator               ms a group  µs a row  minutes for 50,000 groups of 30 / 300 / 3,000 rows on", end="")
    print(f" {options.cores} cores")
    for estimator in options.estimators:
        empty = run(16, ROWS)
        groups = options.groups if estimator == "ridge" else max(64, options.groups // 40)
        small, large = run(groups, ROWS), run(groups, 10 * ROWS)
        row = 2 * max(0.0, large - small) / (groups * 9 * ROWS)  # two cores
        group = 2 * max(0.0, small - empty) / groups - ROWS * row
        minutes = [50_000 * (group + rows * row) / options.cores / 60 for rows in (30, 300, 3000)]
        print(f"{estimator:<22}  {group * 1e3:>10.2f}  {row * 1e6:>8.2f}  {' / '.join(f'{m:.1f}' for m in minutes)}")


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "score", "passes", "sizing"])
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 300, 3000])
    parser.add_argument("--estimators", nargs="+", default=["ridge", "hist_gradient_boosting", "random_forest"])
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        spark = session(folder)
        warm(folder)
        {"train": train, "score": score, "passes": passes, "sizing": sizing}[options.what](folder, options)
        spark.stop()


if __name__ == "__main__":
    main()
