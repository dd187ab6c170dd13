"""What the spine costs: train, log, open and predict, at two numbers of groups in one run.

    python benchmarks/spine.py --groups 50 5000 --repeats 5

Trains Ridge on 30 rows and 10 features a group, logs and registers into a fresh SQLite tracking store, and opens each
model in new processes. Prints a table, or JSON with --json. Absolute times depend on the machine; read the ratios.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, FEATURES = 30, 10

# Runs in a fresh process: the time and memory that opening a model and asking one of its children adds.
OPEN = """
import os, sys, time
import pandas as pd
from metamodel.fetching import load_model
import sklearn.linear_model

def resident():  # Linux
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

frame = pd.read_parquet(sys.argv[2])
before = resident()
started = time.perf_counter()
model = load_model(sys.argv[1])
opened = time.perf_counter()
model.predict(frame)
answered = time.perf_counter()
print((opened - started) * 1e3, (answered - opened) * 1e3, (resident() - before) / 2**20)
"""


def panel(groups: int) -> pd.DataFrame:
    """Make a table with `groups` string keys."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(groups * ROWS, FEATURES))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(FEATURES)])
    frame["store"] = np.repeat([f"store-{i:05d}" for i in range(groups)], ROWS)
    frame["sales"] = x @ rng.normal(size=FEATURES) + rng.normal(size=len(x))
    return frame


def measure(groups: int, repeats: int, directory: Path) -> dict[str, float]:
    """Train, log and open one model."""
    import mlflow

    import metamodel

    mlflow.set_tracking_uri(f"sqlite:///{directory / 'mlflow.db'}")
    frame = panel(groups)
    started = time.perf_counter()
    result = metamodel.train(frame, "store", "sales", "ridge", output_dir=directory / f"bundle-{groups}")
    trained = time.perf_counter()
    metamodel.log_model(result, registered_model_name=f"spine-{groups}")
    logged = time.perf_counter()
    row = directory / "row.parquet"
    frame.head(1).to_parquet(row)
    opens = [_open(directory / f"bundle-{groups}", row) for _ in range(repeats)]
    open_ms, first_row_ms, megabytes = (statistics.median(values) for values in zip(*opens, strict=True))
    return {
        "groups": groups,
        "train_s": trained - started,
        "log_and_register_s": logged - trained,
        "open_ms": open_ms,
        "first_row_ms": first_row_ms,
        "open_and_first_row_mb": megabytes,
        "bundle_mb": sum(path.stat().st_size for path in result.bundle_path.rglob("*") if path.is_file()) / 2**20,
    }


def _open(bundle: Path, row: Path) -> tuple[float, float, float]:
    done = subprocess.run([sys.executable, "-c", OPEN, bundle, row], capture_output=True, text=True, check=True)
    first, second, third = map(float, done.stdout.split())
    return first, second, third


def main() -> None:
    """Measure every number of groups and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", type=int, nargs="+", default=[50, 5000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        table = pd.DataFrame([measure(groups, arguments.repeats, Path(directory)) for groups in arguments.groups])
    if arguments.json:
        print(json.dumps(table.to_dict("records"), indent=2))
    else:
        print(table.set_index("groups").T.to_string(float_format=lambda value: f"{value:,.2f}"))


if __name__ == "__main__":
    main()
