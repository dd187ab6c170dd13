"""What a task of Spark costs beside its rows: small partitions, with workers that pass over what was imported or not.

    python benchmarks/spark_tasks.py --partitions 64

PySpark's daemon looks for garbage after every task. One kind of session has PySpark's own daemon, in whose workers the
model lets the collector pass over the libraries; the other has the same under a name that the model does not know.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import spark
from measuring import median_seconds

ROWS = 4_000

# What a session's workers are forked from, and the text of the module that the model does not know.
_PASSING, _LOOKING = "pyspark.daemon", "other_daemon"
_DAEMON = "from pyspark.daemon import manager\nmanager()\n"


def logged_model(folder: Path, frame: pd.DataFrame) -> str:
    """Train and log Ridge children of 40 groups."""
    import metamodel

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    result = metamodel.train(frame, "store", "sales", n_jobs=1, holdout=0, output_dir=folder / "bundle")
    return str(metamodel.log_model(result, report=False).model_uri)


def seconds_by_way(session: Any, folder: Path, uri: str, options: argparse.Namespace) -> dict[str, float]:
    """Time `spark_udf` and `metamodel.score` in a session, medians; the first of each starts the workers."""
    from pyspark.sql.functions import struct

    import metamodel

    table = session.read.parquet(str(folder / "rows.parquet")).repartition(options.partitions).cache()
    table.count()
    udf = mlflow.pyfunc.spark_udf(session, uri, env_manager="local")
    ways = {
        "spark_udf": lambda: table.withColumn("answer", udf(struct("store", "x"))),
        "metamodel.score": lambda: metamodel.score(table, folder / "bundle", engine="spark"),
    }
    sides = {way: partial(_computed, frame) for way, frame in ways.items()}
    return median_seconds(sides, options.repeats)


def _computed(frame: Callable[[], Any]) -> None:
    frame().write.format("noop").mode("overwrite").save()


def main() -> None:
    """Measure both sessions and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / f"{_LOOKING}.py").write_text(_DAEMON)
        x = np.arange(float(ROWS))
        frame = pd.DataFrame({"store": x.astype(int) % 40, "x": x % 17, "sales": x % 13})
        frame.drop(columns="sales").to_parquet(folder / "rows.parquet", index=False)
        uri = logged_model(folder, frame)
        taken: dict[str, list[dict[str, float]]] = {_LOOKING: [], _PASSING: []}
        for daemon in (_LOOKING, _PASSING, _PASSING, _LOOKING):  # the later a session, the warmer Java is
            session = spark.session(folder, daemon)
            taken[daemon].append(seconds_by_way(session, folder, uri, options))
            session.stop()
    for way in taken[_LOOKING][0]:
        looking, passing = (statistics.mean(times[way] for times in taken[daemon]) for daemon in taken)
        print(
            f"{way}, {options.partitions} partitions: {looking:.2f} s, {passing:.2f} s with the libraries passed over"
        )
        print(f"ratio {looking / passing:.1f}, {(looking - passing) / options.partitions * 1e3:.0f} ms a task")


if __name__ == "__main__":
    main()
