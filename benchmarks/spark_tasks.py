"""What a task of Spark costs beside its rows: small partitions, with workers that pass over what was imported or not.

    python benchmarks/spark_tasks.py --partitions 64

PySpark's daemon looks for garbage after every task. One session has PySpark's own daemon, in whose workers the model
lets the collector pass over the libraries; the other the same daemon under another name, which the model does not know.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import spark

ROWS = 4_000

# What the other session's workers are forked from.
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
    medians = {}
    for way, frame in ways.items():
        took = []
        for _ in range(options.repeats + 1):
            started = time.perf_counter()
            frame().write.format("noop").mode("overwrite").save()
            took.append(time.perf_counter() - started)
        medians[way] = statistics.median(took[1:])
    return medians


def main() -> None:
    """Measure both sessions and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "other_daemon.py").write_text(_DAEMON)
        x = np.arange(float(ROWS))
        frame = pd.DataFrame({"store": x.astype(int) % 40, "x": x % 17, "sales": x % 13})
        frame.drop(columns="sales").to_parquet(folder / "rows.parquet", index=False)
        uri = logged_model(folder, frame)
        taken = {}
        for daemon in ("other_daemon", "pyspark.daemon"):
            session = spark.session(folder, daemon)
            taken[daemon] = seconds_by_way(session, folder, uri, options)
            session.stop()
    for way, without in taken["other_daemon"].items():
        kept = taken["pyspark.daemon"][way]
        print(
            f"{way}, {options.partitions} partitions: {without:.2f} s, {kept:.2f} s where the libraries are passed over"
        )
        print(f"ratio {without / kept:.1f}, {(without - kept) / options.partitions * 1e3:.0f} ms a task")


if __name__ == "__main__":
    main()
