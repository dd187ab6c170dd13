"""What the tests of clusters and of Connect run in a process of its own, because a process has one kind of session.

``python -m cluster_program <spark://... or sc://...> <folder>`` starts a session and reads what to do, a line a job:
``<what> <folder>``. It writes what it found to ``found.json`` in the job's folder, and ends with its input.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

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


def done(session: Any, what: str, folder: Path) -> dict[str, Any]:
    """Do a job; says what was found, or what was raised."""
    try:
        {"housing": housing, "frames": frames, "slowly": slowly}[what](folder)
        bundle = metamodel.load_model(folder / "bundle")
    except Exception:  # noqa: BLE001 - the test that gave the job tells it, and the next one may give another
        return {"error": traceback.format_exc()}
    return {"groups": len(bundle.ledger), "session": type(session).__module__}


def main() -> None:
    master, home = sys.argv[1], Path(sys.argv[2])
    session = connect_session(master) if master.startswith("sc://") else cluster_session(master, home)
    for line in sys.stdin:
        what, folder = line.split(maxsplit=1)
        found = Path(folder.strip()) / "found.json"
        written = found.with_suffix(".part")
        written.write_text(json.dumps(done(session, what, found.parent)))
        written.replace(found)
    session.stop()


if __name__ == "__main__":
    main()
