"""What the tests of clusters and of Connect run in a process of its own, because a process has one kind of session.

``python cluster_program.py <spark://... or sc://...> <folder> <what>``; writes what it found to ``found.json``.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from spark_children import SlowRidge
from spark_cluster import cluster_session, connect_session
from spark_tables import FEATURES, KEYS, TARGET

import metamodel


def housing(folder: Path) -> None:
    """Train the housing cells and score them."""
    data = str(folder / "housing.parquet")
    result = metamodel.train(
        data, KEYS, TARGET, features=FEATURES, unknown="fallback", engine="spark", output_dir=folder / "bundle"
    )
    scored = metamodel.score(data, result.bundle_path, engine="spark")
    scored.write.mode("overwrite").parquet(str(folder / "scored.parquet"))


def frames(folder: Path) -> None:
    """Give DataFrames of the session, with null keys, and score through the command's own way."""
    from pyspark.sql import SparkSession

    from metamodel.scoring import score_file

    session = SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    table = session.read.parquet(str(folder / "housing.parquet"))
    metamodel.train(
        table, KEYS, TARGET, features=FEATURES, null_keys="drop", engine="spark", output_dir=folder / "bundle"
    )
    source, output = str(folder / "housing.parquet"), str(folder / "scored.parquet")
    summary = score_file(source, folder / "bundle", output, engine="spark")
    (folder / "statuses.json").write_text(json.dumps(summary.statuses))


def slowly(folder: Path) -> None:
    """Train groups that take a while and tell where they are fitted."""
    x = pd.Series(range(600), dtype=float)
    frame = pd.DataFrame({"shop": x.astype(int) % 60, "x": x, "y": 2 * x})
    frame.to_parquet(folder / "slow.parquet", index=False)
    estimator = SlowRidge(str(folder / "journal.csv"), seconds=0.2)
    metamodel.train(
        str(folder / "slow.parquet"), "shop", "y", estimator, holdout=0, engine="spark", output_dir=folder / "bundle"
    )


def main() -> None:
    master, folder, what = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    session = connect_session(master) if master.startswith("sc://") else cluster_session(master, folder)
    {"housing": housing, "frames": frames, "slowly": slowly}[what](folder)
    bundle = metamodel.load_model(folder / "bundle")
    found = {"groups": len(bundle.ledger), "session": type(session).__module__}
    (folder / "found.json").write_text(json.dumps(found))
    session.stop()


if __name__ == "__main__":
    main()
