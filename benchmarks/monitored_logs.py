"""Memory of `metamodel monitor` and `compare-variants` over prediction logs that grow: it follows groups and labels.

    python benchmarks/monitored_logs.py --rows 1e6,1e7
    python benchmarks/monitored_logs.py --rows 1e6,1e7 --compare       # the log of a shadow, compared

A log of 200 groups with five features and 13 weeks, in files of 100,000 rows; 100,000 labels, whatever the log's rows.
Each run is a process of its own; an empty one, that has imported everything, is shown beside it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from measuring import numbers, show

import metamodel
from metamodel.prediction_log.log_files import write_new_file

GROUPS, FEATURES, PART, LABELS, WEEKS = 200, 5, 100_000, 100_000, 13

IMPORTS = (
    "import metamodel.monitoring.monitor, metamodel.lifecycle.rollouts.compare_variants, scipy.stats, prometheus_client"
)


def _rows(start: int, n: int, rng: np.random.Generator, total: int) -> pd.DataFrame:
    values = {f"x{i}": rng.normal(size=n) for i in range(FEATURES)}
    week = pd.Timestamp("2026-01-05") + pd.to_timedelta(
        np.arange(start, start + n) * (WEEKS * 7 * 24 * 60) // total, "min"
    )
    shop = rng.integers(0, GROUPS, n)
    sales = shop + 2 * values["x0"] + rng.normal(size=n)
    return pd.DataFrame(
        {"row_id": np.arange(start, start + n), "shop": shop, "week": week.as_unit("us"), **values, "sales": sales}
    )


def _write_log(folder: Path, model: metamodel.MetaModel, total: int, labels: Path) -> None:
    rng = np.random.default_rng(total)
    kept = []
    folder.mkdir()
    for start in range(0, total, PART):
        table = _rows(start, min(PART, total - start), rng, total)
        answers = model.predict(table)
        kept.append(table[["row_id", "sales"]].iloc[:: max(1, total // LABELS)])
        log = {
            "row_id": table["row_id"].astype(str),
            "time": table["week"].dt.tz_localize("UTC"),
            "model": "sales",
            "version": "1",
            "key": "[" + table["shop"].astype(str) + "]",
            "variant": "champion",
            "status": answers["status"],
            "prediction": answers["prediction"],
            "shadow_prediction": answers["prediction"] + rng.normal(size=len(table)) / 10,
            **{f"feature_x{i}": table[f"x{i}"] for i in range(FEATURES)},
        }
        write_new_file(folder, pa.Table.from_pandas(pd.DataFrame(log), preserve_index=False))
    pd.concat(kept).to_parquet(labels)


def _peak(program: list[str]) -> tuple[float, float]:
    """Seconds, and megabytes at most, of a program."""
    started = time.perf_counter()
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        raise SystemExit(f"{program} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def _run(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    table = _rows(0, 100_000, np.random.default_rng(0), 100_000)
    features = [f"x{i}" for i in range(FEATURES)]
    given: dict[str, Any] = {"features": features, "time_column": "week", "output_dir": folder / "model", "n_jobs": 1}
    model = metamodel.MetaModel(metamodel.train(table, "shop", "sales", "ridge", **given).bundle_path)
    shown = [{"rows of the log": 0, "megabytes": _peak([sys.executable, "-c", IMPORTS])[1]}]
    for total in args.rows:
        log, labels = folder / f"log-{total}", folder / f"labels-{total}.parquet"
        _write_log(log, model, total, labels)
        if args.compare:
            command = ["compare-variants", "--log", str(log), "--labels", str(labels), "--target", "sales"]
        else:
            place = folder / f"monitor-{total}"
            command = ["monitor", str(model.path), "--data", str(log), "--labels", str(labels), "--window", "1w"]
            command += ["--output", str(place)]
        seconds, megabytes = _peak([sys.executable, "-m", "metamodel", *command])
        shown.append({"rows of the log": total, "megabytes": megabytes, "seconds": seconds})
    return shown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=numbers, default=numbers("1e6,1e7"))
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        show(_run(parsed, Path(place)), parsed.json)
